"""What a probe was told, in words short enough to print."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

LONGEST_ANSWER = 200  # characters

Mask = Callable[[str], str]
"""Takes out what must not be repeated; before a text is shortened, which may halve a secret."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether a probe passed, and what was seen."""

    passed: bool
    text: str


def refused(text: str) -> Answer:
    """An answer that does not pass."""
    return Answer(passed=False, text=shorten(text))


def shorten(text: str, limit: int = LONGEST_ANSWER) -> str:
    """``text`` on one line of at most ``limit`` characters, control characters left out."""
    line = " ".join(text[: 4 * limit].split())
    line = "".join(character for character in line if character.isprintable())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def seconds(duration: float) -> str:
    """``5 s``, ``0.3 s``, ``119.8 s``: a duration for people."""
    return f"{round(duration, 1 if duration >= 1 else 2):g} s"


def no_answer(timeout: float) -> Answer:
    """The probe's time was over first."""
    return refused(f"no answer within {seconds(timeout)}")


def connection_failure(error: OSError | aiohttp.ClientError | ValueError) -> str:
    """Why no answer came, without the wrapping of the library that met it."""
    cause: BaseException = error
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, FileNotFoundError):
        return "connection refused: the socket does not exist"
    if isinstance(cause, ConnectionError | aiohttp.ServerDisconnectedError):
        return "the connection was closed without an answer"
    if isinstance(cause, aiohttp.ClientPayloadError):
        return "the answer broke off"
    if isinstance(cause, aiohttp.ClientResponseError):
        return f"the answer is not HTTP: {cause.message}"
    if isinstance(cause, ValueError):
        return f"the request cannot be sent: {cause}"
    if isinstance(cause, OSError) and cause.errno is not None:
        return f"{cause.strerror} ({errno.errorcode.get(cause.errno, cause.errno)})"
    return f"{cause}" or type(cause).__name__
