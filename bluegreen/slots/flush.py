"""Making a whole tree survive a power cut, without an fsync for each of its files."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from bluegreen.errors import SlotError

TIMEOUT = 100.0  # seconds
KILL_WAIT = 5.0  # seconds; a sync stuck in the kernel is let go then


async def flush(directory: Path) -> None:
    """Write everything of the file system of ``directory`` to disk, by syncfs(2).

    Raises SlotError when the kernel could not, or not in time. sync(1) does it, as a process of
    its own that can be given up on.
    """
    process = await asyncio.create_subprocess_exec(
        "sync", "-f", "--", str(directory),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT):
            _, errors = await process.communicate()
    except TimeoutError as error:
        raise _failed(directory, f"not done after {TIMEOUT:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), KILL_WAIT)
    if process.returncode != 0:
        raise _failed(directory, errors.decode(errors="replace").strip())


def _failed(directory: Path, reason: str) -> SlotError:
    return SlotError(
        f"the files of {directory} could not be written to disk",
        detail=[reason],
        remedy="look at the disk (dmesg, df); then deploy again",
    )
