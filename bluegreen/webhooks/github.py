"""GitHub: ``X-Hub-Signature-256``, the HMAC of the body, and an event by its header."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bluegreen.webhooks import forge_events
from bluegreen.webhooks.headers import Headers
from bluegreen.webhooks.nouns import Happening, Nothing
from bluegreen.webhooks.signatures import hex_signature, is_one_of, plain_key

_READ: dict[str, Callable[[bytes, str | None], Happening | Nothing]] = {
    "push": forge_events.push,
    "release": forge_events.release,
    "workflow_run": forge_events.workflow_run,
    "deployment": forge_events.deployment,
}


def is_sender(headers: Headers) -> bool:
    """Whether the headers are those that GitHub sends."""
    return "x-github-event" in headers


def is_usable(secret: str) -> bool:
    return plain_key(secret) is not None


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """Whether the body is signed by one of ``secrets``. There is no time in it: ``now`` is moot."""
    keys = [key for secret in secrets if (key := plain_key(secret)) is not None]
    right = [f"sha256={hex_signature(key, body)}" for key in keys]
    return is_one_of([headers.get("x-hub-signature-256", "")], right)


def delivery(
    headers: Headers, body: bytes, secrets: Sequence[str], now: float
) -> tuple[str | None, bool]:
    """GitHub's name for the delivery, which is not part of what is signed."""
    return headers.get("x-github-delivery"), False


def happening(headers: Headers, body: bytes) -> Happening | Nothing:
    event = headers.get("x-github-event", "")[:100]
    if event == "ping":
        return Nothing(event="ping", why="pong")
    if event not in _READ:
        return Nothing(event=event, why="no release is asked for by it")
    return _READ[event](body, headers.get("content-type"))


def sign(body: bytes, secret: str, event: str, name: str, now: float) -> dict[str, str]:
    """The headers of a delivery as GitHub would send it."""
    key = plain_key(secret) or b""
    return {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": name,
        "x-hub-signature-256": f"sha256={hex_signature(key, body)}",
    }
