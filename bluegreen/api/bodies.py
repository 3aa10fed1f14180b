"""Bodies of requests: what is accepted, field by field."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from bluegreen.errors import UsageError

BODY_LIMIT = 64 * 1024  # bytes

# One line that a terminal may print: no control characters.
Text = Annotated[
    str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
]


class Body(BaseModel):
    """A JSON object; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Empty(Body):
    """No fields."""


class DeployBody(Body):
    version: str  # what a version may be is said by check_version


class RollbackBody(Body):
    version: str | None = None


class SwitchBody(Body):
    to: Literal["back", "blue", "green"]


class LockBody(Body):
    reason: Text


B = TypeVar("B", bound=Body)


async def read_body(request: web.Request, kind: type[B]) -> B:
    """The request's body; UsageError names the field, what is wrong and what would be right."""
    raw = await request.content.read(BODY_LIMIT + 1)
    if len(raw) > BODY_LIMIT:
        raise UsageError("the body is too large", remedy=f"send at most {BODY_LIMIT} bytes")
    try:
        return kind.model_validate_json(raw or b"{}")
    except ValidationError as error:
        fields = ", ".join(f'"{name}"' for name in kind.model_fields) or "no fields"
        raise UsageError(
            f"{request.method} {request.path}: the body is not as it should be",
            detail=[
                f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}"
                for item in error.errors(include_url=False, include_input=False)
            ],
            remedy=f"send a JSON object with {fields}",
        ) from error
