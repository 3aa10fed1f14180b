"""Asks commands what version they are of.

Run as a program, ``asking [["python3", "--version"], …]``, by the user that builds and services run
as: it looks on that user's PATH, and prints an `Answer` for each command, in their order, as a line
of JSON. Of a command no more than `MOST` bytes are read, and it is killed after `LIMIT`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

LIMIT = 10.0  # seconds for a command
KILLED = 1.0  # seconds until what was killed is gone
MOST = 16 * 1024  # bytes of its output
AT_ONCE = 4  # commands
SHOWN = 300  # characters that are passed on


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one command."""

    path: str | None  # the file that was found; None: there is none of that name on the PATH
    status: int | None  # its exit status, negative for a signal; None: it had not ended in time
    said: str  # the beginning of its output, or of its errors where it printed nothing else

    def line(self) -> str:
        return json.dumps(asdict(self))


def parse(line: str) -> Answer | None:
    """The answer in a line that was printed; None for any other line."""
    try:
        data = json.loads(line)
        path, status, said = data["path"], data["status"], data["said"]
    except (ValueError, TypeError, KeyError):
        return None
    sound = isinstance(path, str | None) and isinstance(status, int | None)
    return Answer(path=path, status=status, said=said) if sound and isinstance(said, str) else None


async def ask_all(commands: Sequence[Sequence[str]]) -> list[Answer]:
    """The answers of ``commands``, each a program and its arguments."""
    places = asyncio.Semaphore(AT_ONCE)

    async def ask_in_turn(command: Sequence[str]) -> Answer:
        async with places:
            return await _ask(*command)

    return await asyncio.gather(*map(ask_in_turn, commands))


async def _ask(program: str, *arguments: str) -> Answer:
    path = shutil.which(program)
    if path is None:
        return Answer(path=None, status=None, said="")
    try:
        process = await asyncio.create_subprocess_exec(
            path, *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        return Answer(path=path, status=126, said=error.strerror or str(error))
    out, errors = bytearray(), bytearray()
    status: int | None = None
    try:
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(
                _read(process, process.stdout, out), _read(process, process.stderr, errors)
            )
            status = await process.wait()
    except TimeoutError:
        pass
    finally:
        _kill(process)
        with contextlib.suppress(TimeoutError):  # its children may keep its pipes open
            async with asyncio.timeout(KILLED):
                await process.wait()
    said = next((text for text in (out, errors) if text.strip()), b"")
    return Answer(path=path, status=status, said=said.decode(errors="replace").strip()[:SHOWN])


async def _read(
    process: asyncio.subprocess.Process, output: asyncio.StreamReader | None, into: bytearray
) -> None:
    while output is not None and (chunk := await output.read(MOST)):
        into += chunk[: MOST - len(into)]
        if len(into) == MOST:
            _kill(process)  # it may never end


def _kill(process: asyncio.subprocess.Process) -> None:
    """SIGKILL it, if it has not ended."""
    # Its own kill() reaps a process that has ended already, and asyncio does not learn its status.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    for answer in asyncio.run(ask_all(json.loads(sys.argv[1]))):
        print(answer.line())
    sys.stdout.flush()
    os._exit(0)  # what a command left behind may hold on to a pipe: that is not waited for
