"""Log files that are read as they grow: of services, of an operation's steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

CHUNK = 256 * 1024  # bytes read of one file at a time
FOLLOW_INTERVAL = 0.2  # seconds between looks at files that are followed


S = TypeVar("S")


@dataclass
class Tail(Generic[S]):
    """A log file that is read as it grows; ``source`` says what its lines are of."""

    source: S
    path: Path
    offset: int = 0
    _partial: bytes = b""

    def seek_back(self, lines: int) -> None:
        """Begin with the last ``lines`` lines, or with all there are. Blocks on the disk."""
        self.offset = self.size()
        if not self.offset or not lines:
            return
        start = self.offset - 1  # a line end right there ends the last line and begins none
        with self.path.open("rb") as file:
            while start > 0:
                end, start = start, max(0, start - CHUNK)
                file.seek(start)
                data = file.read(end - start)
                found = data.count(b"\n")
                if found >= lines:
                    at = len(data)
                    for _ in range(lines):
                        at = data.rindex(b"\n", 0, at)
                    self.offset = start + at + 1
                    return
                lines -= found
        self.offset = 0

    def size(self) -> int:
        """Bytes in the file now; 0 where there is none yet."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, end: int | None = None) -> list[str]:
        """The whole lines that have come since the last call, up to ``end`` bytes of the file."""
        size = self.size() if end is None else min(self.size(), end)
        if size < self.offset:  # rotated
            self.offset, self._partial = 0, b""
        if size == self.offset:
            return []
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(min(CHUNK, size - self.offset))
        self.offset += len(data)
        *whole, self._partial = (self._partial + data).split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in whole]

    def rest(self) -> list[str]:
        """What a last line without its end holds."""
        rest, self._partial = self._partial, b""
        return [rest.decode(errors="replace")] if rest else []


def _read_all(tails: Sequence[Tail[S]], ends: Mapping[Path, int] | None) -> list[tuple[S, str]]:
    return [
        (tail.source, line)
        for tail in tails
        for line in tail.read(None if ends is None else ends.get(tail.path, 0))
    ]


async def stream(
    find: Callable[[], Sequence[Tail[S]]], *, goes_on: Callable[[], bool]
) -> AsyncGenerator[tuple[S, str], None]:
    """Lines, each after its source, of all files that ``find`` names, until ``goes_on`` says no.

    ``find`` is asked again and again, as new files appear; it returns the same Tail for a file.
    """
    ends: dict[Path, int] | None = None  # where to stop, so that a chatty service does not matter
    while True:
        tails = await asyncio.to_thread(find)
        if ends is None and not goes_on():
            ends = {tail.path: tail.size() for tail in tails}
        lines = await asyncio.to_thread(_read_all, tails, ends)
        for found in lines:
            yield found
        if lines:
            continue
        if ends is not None:
            break
        await asyncio.sleep(FOLLOW_INTERVAL)
    for tail in tails:
        for line in tail.rest():
            yield tail.source, line
