"""What a request says in its path, query and headers."""

from __future__ import annotations

from aiohttp import web

from bluegreen.errors import UsageError

KEY_LENGTH = 200  # characters of an Idempotency-Key


def operation_id(request: web.Request) -> int:
    """The operation that the path names. Raises UsageError."""
    text = request.match_info["id"]
    if not text.isdecimal() or len(text) > 18:
        raise UsageError(f"{text} is no operation's number", remedy="bluegreen history lists them")
    return int(text)


def backup_id(request: web.Request) -> int:
    """The backup that the path names. Raises UsageError."""
    text = request.match_info["id"]
    if not text.isdecimal() or len(text) > 18:
        raise UsageError(f"{text} is no backup's number", remedy="bluegreen backup list names them")
    return int(text)


def token_id(request: web.Request) -> int:
    """The token that the path names. Raises UsageError."""
    text = request.match_info["id"]
    if not text.isdecimal() or len(text) > 18:
        raise UsageError(f"{text} is no token's number", remedy="bluegreen token list names them")
    return int(text)


def whole_number(
    request: web.Request, name: str, default: int | None, most: int, *, least: int = 0
) -> int | None:
    """A whole number of the query, ``least`` to ``most``. Raises UsageError."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 18 or not least <= int(text) <= most:
        raise UsageError(
            f'{name}: "{text[:60]}" is not right', remedy=f"a whole number, {least} to {most}"
        )
    return int(text)


def idempotency_key(request: web.Request) -> str | None:
    """What names the request among its repetitions, if anything. Raises UsageError."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= KEY_LENGTH:
        raise UsageError(
            "Idempotency-Key has the wrong length", remedy=f"1 to {KEY_LENGTH} characters"
        )
    return key
