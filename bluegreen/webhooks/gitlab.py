"""GitLab: its secret token as it is or, in newer ones, a signature as Standard Webhooks has it.

A secret that begins with ``whsec_`` is a signing token. What happened is told by the body, which is
signed, and not by the header.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bluegreen.webhooks.headers import Headers
from bluegreen.webhooks.nouns import Happening, Nothing
from bluegreen.webhooks.payloads import (
    Commit,
    Payload,
    Text,
    branch_and_tag,
    is_nothing,
    read,
)
from bluegreen.webhooks.signatures import (
    PREFIX,
    is_one_of,
    is_signed_as_standard,
    plain_key,
    standard_key,
    standard_signature,
)

# Pipelines of commits that anybody may have made, and parts of others.
_SOURCES = {
    "merge_request_event": "it ran for a merge request",
    "external_pull_request_event": "it ran for a pull request",
    "parent_pipeline": "it is a part of another pipeline",
}


class _Kind(Payload):
    object_kind: Text


class _Push(Payload):
    ref: Text
    after: Commit
    checkout_sha: Commit | None = None


class _Release(Payload):
    action: Text
    tag: Text


class _Pipeline(Payload):
    ref: Text
    tag: bool = False
    sha: Commit
    status: Text
    source: Text | None = None
    name: Text | None = None


class _PipelineEvent(Payload):
    object_attributes: _Pipeline


def is_sender(headers: Headers) -> bool:
    """Whether the headers are those that GitLab sends."""
    return "x-gitlab-event" in headers


def is_usable(secret: str) -> bool:
    if secret.startswith(PREFIX):
        return standard_key(secret) is not None
    return plain_key(secret) is not None


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """Whether it is signed by, or shows, one of ``secrets``."""
    tokens = [one for one in secrets if is_usable(one) and not one.startswith(PREFIX)]
    shown = is_one_of([headers.get("x-gitlab-token", "")], tokens)
    signed = _is_signed(headers, body, secrets, now)
    return shown or signed


def _is_signed(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    signing = [one for one in secrets if is_usable(one) and one.startswith(PREFIX)]
    keys = [standard_key(secret) or b"" for secret in signing]
    return is_signed_as_standard(headers, body, keys, now)


def delivery(
    headers: Headers, body: bytes, secrets: Sequence[str], now: float
) -> tuple[str | None, bool]:
    """GitLab's name for the delivery: the same when it is sent again, and signed if all is.

    Who has only shown the token may write into the header of the name what she likes.
    """
    if "webhook-id" in headers and _is_signed(headers, body, secrets, now):
        return headers["webhook-id"], True
    given = (headers.get(name) for name in ("idempotency-key", "x-gitlab-event-uuid", "webhook-id"))
    return next(filter(None, given), None), False


def happening(headers: Headers, body: bytes) -> Happening | Nothing:
    content_type = headers.get("content-type")
    kind = read(_Kind, "delivery", body, content_type)
    if isinstance(kind, Nothing):
        return kind
    if kind.object_kind not in _READ:
        return Nothing(event=kind.object_kind[:100], why="no release is asked for by it")
    return _READ[kind.object_kind](body, content_type)


def _push(body: bytes, content_type: str | None) -> Happening | Nothing:
    found = read(_Push, "push", body, content_type)
    if isinstance(found, Nothing):
        return found
    branch, tag = branch_and_tag(found.ref)
    if is_nothing(found.after):
        return Nothing(event="push", why=f"{tag or branch or found.ref} was deleted")
    commit = found.checkout_sha or found.after
    return Happening(event="push", branch=branch, tag=tag, commit=commit)


def _release(body: bytes, content_type: str | None) -> Happening | Nothing:
    found = read(_Release, "release", body, content_type)
    if isinstance(found, Nothing):
        return found
    if found.action != "create":
        return Nothing(
            event="release", why=f"a release counts as it is created, not on {found.action}"
        )
    return Happening(event="release", tag=found.tag)


def _pipeline(body: bytes, content_type: str | None) -> Happening | Nothing:
    event = "workflow_run"
    found = read(_PipelineEvent, event, body, content_type)
    if isinstance(found, Nothing):
        return found
    ran = found.object_attributes
    if ran.status != "success":
        return Nothing(event=event, why=f"it counts once ended with success, not {ran.status}")
    if ran.source in _SOURCES:
        return Nothing(event=event, why=_SOURCES[ran.source])
    return Happening(
        event=event,
        branch=None if ran.tag else ran.ref,
        tag=ran.ref if ran.tag else None,
        commit=ran.sha,
        workflow=ran.name,
    )


_READ: dict[str, Callable[[bytes, str | None], Happening | Nothing]] = {
    "push": _push,
    "tag_push": _push,
    "release": _release,
    "pipeline": _pipeline,
}
HOOKS = {"push": "Push Hook", "release": "Release Hook", "workflow_run": "Pipeline Hook"}


def sign(body: bytes, secret: str, event: str, name: str, now: float) -> dict[str, str]:
    """The headers of a delivery as GitLab would send it."""
    common = {
        "content-type": "application/json",
        "x-gitlab-event": HOOKS.get(event, event),
        "idempotency-key": name,
    }
    if not secret.startswith(PREFIX):
        return common | {"x-gitlab-token": secret}
    timestamp = str(int(now))
    signature = standard_signature(standard_key(secret) or b"", name, timestamp, body)
    return common | {
        "webhook-id": name, "webhook-timestamp": timestamp, "webhook-signature": signature,
    }  # fmt: skip
