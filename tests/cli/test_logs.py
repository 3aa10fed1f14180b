"""What `bluegreen logs` lets through to a terminal."""

from __future__ import annotations

import asyncio
import os
import pty
import sys

from bluegreen.model import Slot
from tests.stack import PYTHON, stack
from tests.waiting import PATIENCE

EVIL = b"\x1b]0;title\x07\x1b[2Jcleared\n"


def drained(descriptor: int) -> bytes:
    """All that is written to a terminal until nobody has it open any more."""
    found = b""
    while True:
        try:
            chunk = os.read(descriptor, 4096)
        except OSError:  # EIO: the other side is closed
            return found
        found += chunk


async def test_escapes_are_left_out_on_a_terminal_and_kept_in_a_pipe() -> None:
    async with stack() as built:
        built.write_app(services=("api",))
        await built.serve()
        log = built.layout.app("monitor").service_log(Slot.BLUE, "api")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(EVIL)
        arguments = ("logs", "monitor", "--service", "api")
        piped = await built.cli(*arguments)
        assert piped.out == f"blue api | {EVIL.decode()}"

        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            PYTHON, "-m", "bluegreen", *arguments, "--root", str(built.root),
            stdin=asyncio.subprocess.DEVNULL, stdout=theirs, stderr=sys.stderr,
        )  # fmt: skip
        os.close(theirs)
        try:
            shown = await asyncio.wait_for(asyncio.to_thread(drained, ours), PATIENCE)
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        finally:
            os.close(ours)
        assert shown == b"blue api | cleared\r\n"
