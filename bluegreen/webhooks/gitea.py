"""Gitea and Forgejo: the HMAC of the body in hexadecimal, and GitHub's events.

Both send GitHub's headers besides their own; the names are Gitea's, and since the fork Forgejo's.
"""

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
}
_SIGNATURES = ("x-forgejo-signature", "x-gitea-signature")


def is_sender(headers: Headers) -> bool:
    """Whether the headers are those that Gitea or Forgejo sends."""
    return "x-gitea-event" in headers or "x-forgejo-event" in headers


def is_usable(secret: str) -> bool:
    return plain_key(secret) is not None


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """Whether the body is signed by one of ``secrets``. There is no time in it: ``now`` is moot.

    One of their own signatures has to be there, and each that came has to be right: of two, a
    proxy may have checked the other one.
    """
    keys = [key for secret in secrets if (key := plain_key(secret)) is not None]
    right = [hex_signature(key, body) for key in keys]
    given = [headers[name] for name in _SIGNATURES if name in headers] or [""]
    if "x-hub-signature-256" in headers:
        given.append(headers["x-hub-signature-256"].removeprefix("sha256="))
    checks = [is_one_of([signature], right) for signature in given]
    return all(checks)


def delivery(
    headers: Headers, body: bytes, secrets: Sequence[str], now: float
) -> tuple[str | None, bool]:
    """The sender's name for the delivery, which is not part of what is signed."""
    return headers.get("x-forgejo-delivery") or headers.get("x-gitea-delivery"), False


def happening(headers: Headers, body: bytes) -> Happening | Nothing:
    event = (headers.get("x-forgejo-event") or headers.get("x-gitea-event", ""))[:100]
    if event not in _READ:
        return Nothing(event=event, why="no release is asked for by it")
    return _READ[event](body, headers.get("content-type"))


def sign(body: bytes, secret: str, event: str, name: str, now: float) -> dict[str, str]:
    """The headers of a delivery as Gitea would send it."""
    signature = hex_signature(plain_key(secret) or b"", body)
    return {
        "content-type": "application/json",
        "x-gitea-event": event,
        "x-gitea-delivery": name,
        "x-gitea-signature": signature,
        "x-hub-signature-256": f"sha256={signature}",
    }
