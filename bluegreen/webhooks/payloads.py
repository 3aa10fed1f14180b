"""Bodies of deliveries: only what is used, each field bounded, and blind to the rest."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from bluegreen.webhooks.nouns import Nothing

Text = Annotated[str, StringConstraints(max_length=512)]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}(?:[0-9a-f]{24})?$")]

BRANCH, TAG = "refs/heads/", "refs/tags/"


class Payload(BaseModel):
    """A part of a body."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


P = TypeVar("P", bound=Payload)


def read(kind: type[P], event: str, body: bytes, content_type: str | None) -> P | Nothing:
    """The body as its event has it, or why it is not."""
    if content_type is not None and "form" in content_type.lower():
        return Nothing(
            event=event,
            why="its body is a form: have the sender send application/json",
            is_unreadable=True,
        )
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part)[:60] for part in first["loc"][:6]) or "body"
        return Nothing(
            event=event,
            why=f"its body is not that of a {event}: {place}: {first['msg'][:200]}",
            is_unreadable=True,
        )


def is_nothing(commit: str) -> bool:
    """Whether it is what a forge writes for a commit that is not: of a deleted branch."""
    return set(commit) == {"0"}


def branch_and_tag(ref: str) -> tuple[str | None, str | None]:
    """What a full ref names: a branch, a tag, or neither."""
    if ref.startswith(BRANCH):
        return ref.removeprefix(BRANCH), None
    if ref.startswith(TAG):
        return None, ref.removeprefix(TAG)
    return None, None
