"""What a request says in its path and headers."""

from __future__ import annotations

from aiohttp import web

from bluegreen.api.limits import KEY_LENGTH
from bluegreen.errors import UsageError

_KEY = web.RequestKey("idempotency-key", str)


def note_key(request: web.Request, key: str) -> None:
    """Name a request that cannot say it in a header: a form's."""
    request[_KEY] = key


def operation_id(request: web.Request) -> int:
    """The operation that the path names. Raises UsageError."""
    return _number(request, "operation", "bluegreen history lists them")


def backup_id(request: web.Request) -> int:
    """The backup that the path names. Raises UsageError."""
    return _number(request, "backup", "bluegreen backup list names them")


def token_id(request: web.Request) -> int:
    """The token that the path names. Raises UsageError."""
    return _number(request, "token", "bluegreen token list names them")


def _number(request: web.Request, of: str, remedy: str) -> int:
    text = request.match_info["id"]
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise UsageError(f"{text} is no {of}'s number", remedy=remedy)
    return int(text)


def last_event_id(request: web.Request) -> int:
    """The event after which a stream is to go on; 0: from the first. Raises UsageError."""
    text = request.headers.get("Last-Event-ID", "0")
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise UsageError("Last-Event-ID is not right", remedy="send the id of an event")
    return int(text)


def idempotency_key(request: web.Request) -> str | None:
    """What names the request among its repetitions, if anything. Raises UsageError."""
    keys = request.headers.getall("Idempotency-Key", [])
    if len(keys) > 1:  # by the first alone it would be another request than by the second
        raise UsageError("Idempotency-Key is given more than once", remedy="send one")
    key = request.get(_KEY) or next(iter(keys), None)
    if key is not None and not (0 < len(key) <= KEY_LENGTH and key.isascii() and key.isprintable()):
        raise UsageError(
            "Idempotency-Key is not right", remedy=f"1 to {KEY_LENGTH} characters of ASCII"
        )
    return key
