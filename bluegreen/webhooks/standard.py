"""Standard Webhooks (standardwebhooks.com), for every sender that is no forge of its own.

Id, time and body are signed. The event is the body's ``type``; which field holds the version is
said by the app file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ConfigDict

from bluegreen.webhooks.headers import Headers
from bluegreen.webhooks.nouns import Happening, Nothing
from bluegreen.webhooks.payloads import Payload, Text, read
from bluegreen.webhooks.signatures import (
    is_signed_as_standard,
    standard_key,
    standard_signature,
)

LONGEST_INDEX = 4  # digits


class _Body(Payload):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    type: Text


def is_sender(headers: Headers) -> bool:
    """Whether the headers are those of a standard webhook."""
    return "webhook-signature" in headers


def is_usable(secret: str) -> bool:
    return standard_key(secret) is not None


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """Whether it is signed by one of ``secrets``, within five minutes of ``now``."""
    keys = [key for secret in secrets if (key := standard_key(secret)) is not None]
    return is_signed_as_standard(headers, body, keys, now)


def delivery(
    headers: Headers, body: bytes, secrets: Sequence[str], now: float
) -> tuple[str | None, bool]:
    """The sender's name for the delivery: signed, and the same when it is sent again."""
    return headers.get("webhook-id"), True


def happening(headers: Headers, body: bytes) -> Happening | Nothing:
    found = read(_Body, "delivery", body, headers.get("content-type"))
    if isinstance(found, Nothing):
        return found
    return Happening(event=found.type, fields={"type": found.type, **(found.model_extra or {})})


def field_at(fields: Mapping[str, Any], path: str) -> str | None:
    """The text that a dotted path leads to; a number is an item of a list. None: no text there."""
    found: Any = fields
    for part in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list) and part.isdecimal() and len(part) <= LONGEST_INDEX:
            index = int(part)
            found = found[index] if index < len(found) else None
        else:
            return None
    return found if isinstance(found, str) else None


def sign(body: bytes, secret: str, event: str, name: str, now: float) -> dict[str, str]:
    """The headers of a delivery as such a sender would send it; the event is in the body."""
    timestamp = str(int(now))
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": timestamp,
        "webhook-signature": standard_signature(standard_key(secret) or b"", name, timestamp, body),
    }
