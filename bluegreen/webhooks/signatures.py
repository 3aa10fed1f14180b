"""Signatures over the raw body, compared without telling how far they were right."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence

from bluegreen.webhooks.headers import Headers

SHORTEST_SECRET = 16  # characters, or bytes of a decoded one
PREFIX = "whsec_"
TOLERANCE = 300.0  # seconds between a delivery's own time and ours, as Standard Webhooks has it
SIGNATURES = 16  # of one delivery, at most: two secrets of its sender, and some to come


def hex_signature(key: bytes, body: bytes) -> str:
    """HMAC-SHA256 in hexadecimal, as forges write it."""
    return hmac.digest(key, body, "sha256").hex()


def is_one_of(given: Sequence[str], right: Iterable[str]) -> bool:
    """Whether one of ``given`` is one of ``right``; each is compared with each, to its end."""
    found = 0
    for text in given:
        said = _digest(text)
        for other in right:
            found += hmac.compare_digest(said, _digest(other))
    return found > 0


def _digest(text: str) -> bytes:
    # Of one length, whatever came: comparing stops at once where the lengths differ.
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def plain_key(secret: str) -> bytes | None:
    """The key of a forge's secret; None where anybody could guess it."""
    return secret.encode() if len(secret) >= SHORTEST_SECRET else None


def standard_key(secret: str) -> bytes | None:
    """The key of a ``whsec_…`` secret, with or without its prefix; None where it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) >= SHORTEST_SECRET else None


def standard_signature(key: bytes, identifier: str, timestamp: str, body: bytes) -> str:
    """``v1,…`` of Standard Webhooks: over id, time and body."""
    head = f"{identifier}.{timestamp}.".encode("utf-8", "surrogateescape")
    return f"v1,{base64.b64encode(hmac.digest(key, head + body, 'sha256')).decode()}"


def is_signed_as_standard(headers: Headers, body: bytes, keys: Sequence[bytes], now: float) -> bool:
    """Whether one of the signatures is by one of ``keys``, and not of another time."""
    identifier = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split(" ")[:SIGNATURES]
    right = [standard_signature(key, identifier, timestamp, body) for key in keys]
    is_right = is_one_of(given, right)
    return is_right and bool(identifier) and _is_of_now(timestamp, now)


def _is_of_now(timestamp: str, now: float) -> bool:
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    return abs(now - int(timestamp)) <= TOLERANCE
