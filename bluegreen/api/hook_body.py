"""The raw body of a delivery: bounded before it is read, and while it is."""

from __future__ import annotations

import asyncio

from aiohttp import web

from bluegreen.errors import BluegreenError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

HOOK_LIMIT = 2**20  # bytes
HOOK_TIMEOUT = 10.0  # seconds for all of it to arrive


class TooLargeError(BluegreenError):
    """More than is ever read of one delivery."""

    kind: ClassVar[str] = "usage"
    exit_status: ClassVar[int] = 2
    http_status: ClassVar[int] = 413

    def __init__(self) -> None:
        super().__init__(
            f"the delivery is larger than {HOOK_LIMIT} bytes",
            remedy="have the sender leave out what is not needed, such as lists of commits",
        )


async def read_hook(request: web.Request) -> bytes:
    """All of the body. Raises TooLargeError, before it is read where its length is said.

    UsageError where it does not arrive in time.
    """
    if (request.content_length or 0) > HOOK_LIMIT:
        raise TooLargeError
    if request.content.is_eof():  # it came with the head, and is small
        return request.content.read_nowait()
    body = bytearray()
    try:
        async with asyncio.timeout(HOOK_TIMEOUT):
            async for part in request.content.iter_any():
                body += part
                if len(body) > HOOK_LIMIT:
                    raise TooLargeError
    except TimeoutError as error:
        raise UsageError(
            f"the delivery had not arrived after {HOOK_TIMEOUT:g} s",
            remedy="send as many bytes as Content-Length says, in one go",
        ) from error
    return bytes(body)
