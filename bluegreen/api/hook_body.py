"""The raw body of a delivery: bounded before it is read, while it is, and together with others."""

from __future__ import annotations

import asyncio
from collections import Counter

from aiohttp import web

from bluegreen.errors import BluegreenError, OverloadedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ClassVar, Self

HOOK_LIMIT = 2**20  # bytes
HOOK_TIMEOUT = 10.0  # seconds for all of it to arrive
ALL_BODIES = 24 * 2**20  # bytes of all deliveries that are read or judged at a time …
BODIES_OF_ONE = 8 * 2**20  # … and of those from one address


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


class NoRoomError(OverloadedError):
    """As much is read as there is memory for."""

    http_status: ClassVar[int] = 503

    def __init__(self) -> None:
        super().__init__("too much of other deliveries is being read", remedy="send it again later")


class Share:
    """What one delivery takes of the room; given back at the end of its block."""

    def __init__(self, room: HookRoom, guest: str | None) -> None:
        self._room = room
        self._guest = guest
        self._size = 0

    def take(self, size: int) -> None:
        """So many bytes more. Raises NoRoomError, with nothing taken."""
        self._room.take(self._guest, size)
        self._size += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._room.give_back(self._guest, self._size)


class HookRoom:
    """The memory that bodies of deliveries may take, of which nobody who asks has all."""

    def __init__(self) -> None:
        self._used = 0
        self._of: Counter[str] = Counter()

    def share(self, guest: str | None) -> Share:
        """Room for a body of ``guest``; None: it is not counted by itself."""
        return Share(self, guest)

    def take(self, guest: str | None, size: int) -> None:
        """Raises NoRoomError."""
        if self._used + size > ALL_BODIES:
            raise NoRoomError
        if guest is not None:
            if self._of[guest] + size > BODIES_OF_ONE:
                raise NoRoomError
            self._of[guest] += size
        self._used += size

    def give_back(self, guest: str | None, size: int) -> None:
        """What was taken."""
        self._used -= size
        if guest is not None:
            self._of[guest] -= size
            if not self._of[guest]:
                del self._of[guest]


async def read_hook(request: web.Request, share: Share) -> bytes:
    """All of the body. Raises TooLargeError, before it is read where its length is said.

    NoRoomError, and UsageError where it does not arrive in time.
    """
    parts: list[bytes] = []

    def keep(part: bytes) -> None:
        share.take(len(part))
        parts.append(part)

    await _each_part(request, keep)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def discard_hook(request: web.Request) -> None:
    """The same for one that nobody will look at, and of which nothing is kept."""
    await _each_part(request, lambda _: None)


async def _each_part(request: web.Request, keep: Callable[[bytes], None]) -> None:
    if (request.content_length or 0) > HOOK_LIMIT:
        raise TooLargeError
    if request.content.is_eof():  # it came with the head, and is small
        keep(request.content.read_nowait())
        return
    size = 0
    try:
        async with asyncio.timeout(HOOK_TIMEOUT):
            async for part in request.content.iter_any():
                size += len(part)
                if size > HOOK_LIMIT:
                    raise TooLargeError
                keep(part)
    except TimeoutError as error:
        raise UsageError(
            f"the delivery had not arrived after {HOOK_TIMEOUT:g} s",
            remedy="send as many bytes as Content-Length says, in one go",
        ) from error
