"""``journalctl``, entry by entry: without a shell, within bounds, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from typing import Any, cast

from bluegreen.errors import SupervisorError
from bluegreen.processes import uninterrupted

Entry = dict[str, Any]

LONGEST_ENTRY = 1024 * 1024  # bytes of JSON; a service may log what is hundreds of times as long
LONGEST_COMPLAINT = 4096  # bytes
_CHUNK = 256 * 1024
_EDGE = 4096  # bytes at both ends of what is left out, in which its fields are looked for
# A quote inside of a text is written \", so this is a field and no text that looks like one.
_FIELD = re.compile(rb'[{,]"(\w+)":"([^"\\]*)"')


class Output:
    """What one journalctl says."""

    def __init__(self, process: asyncio.subprocess.Process, errors: asyncio.Task[bytes]) -> None:
        self._process = process
        self._stream = cast("asyncio.StreamReader", process.stdout)
        self._errors = errors
        self._buffer = bytearray()
        self._seen = 0  # bytes of the buffer that hold no line end
        self._left_out = b""  # how an entry that is too long began

    async def entry(self) -> Entry | None:
        """The next one; None at the end. May be cancelled, and asked again."""
        while (end := self._buffer.find(b"\n", self._seen)) < 0:
            self._seen = len(self._buffer)
            if self._seen > LONGEST_ENTRY:
                self._left_out = self._left_out or bytes(self._buffer[:_EDGE])
                del self._buffer[:-_EDGE]
                self._seen = len(self._buffer)
            chunk = await self._stream.read(_CHUNK)
            if not chunk:
                return None
            self._buffer += chunk
        line, self._seen = bytes(self._buffer[:end]), 0
        del self._buffer[: end + 1]
        if self._left_out or len(line) > LONGEST_ENTRY:
            edges = (self._left_out or line[:_EDGE], line[-_EDGE:])
            self._left_out = b""
            return _placeholder(edges)
        return dict(json.loads(line))

    async def complaint(self) -> str:
        """What it said went wrong; it has ended."""
        return (await self._errors).decode(errors="replace").strip()

    async def must_have_ended_well(self) -> None:
        """Raises SupervisorError when it has not."""
        complaint = await self.complaint()
        if await self._process.wait():
            raise unreadable(complaint)

    async def end(self) -> None:
        """End it, if it has not ended by itself."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # Not its own kill(), which may reap it before asyncio hears how it ended.
                os.killpg(self._process.pid, signal.SIGKILL)
        while await self._stream.read(_CHUNK):
            pass  # asyncio hears of the end of a process when its streams were read to theirs
        await self._errors
        await self._process.wait()


@contextlib.asynccontextmanager
async def journalctl(*arguments: str) -> AsyncIterator[Output]:
    """One run of it; it has ended when this is left. Raises SupervisorError."""
    try:
        process = await asyncio.create_subprocess_exec(
            "journalctl", "--no-pager", "--quiet", "--all", "--output=json", *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise unreadable(str(error)) from error
    errors = asyncio.create_task(_beginning(process.stderr), name="complaints of journalctl")
    output = Output(process, errors)
    try:
        yield output
    finally:
        await uninterrupted(output.end(), name="end of journalctl")


async def _beginning(stream: asyncio.StreamReader | None) -> bytes:
    """The first bytes of a stream, which is read to its end."""
    kept = b""
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        kept = (kept + chunk)[:LONGEST_COMPLAINT]
    return kept


def _placeholder(edges: tuple[bytes, bytes]) -> Entry:
    fields = {
        name.decode(): value.decode(errors="replace")
        for edge in edges
        for name, value in _FIELD.findall(edge)
    }
    mebibytes = LONGEST_ENTRY // 2**20
    return {
        **fields, "MESSAGE": f"--- bluegreen: a line of more than {mebibytes} MiB is left out ---",
    }  # fmt: skip


def unreadable(why: str) -> SupervisorError:
    """The journal cannot be read."""
    return SupervisorError(
        f"the journal cannot be read: {why}",
        remedy="does `journalctl -n 1` work, and does bluegreen.service have "
        "SupplementaryGroups=systemd-journal?",
    )
