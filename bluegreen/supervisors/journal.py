"""What services have written, read from the journal by its own command."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bluegreen.errors import SupervisorError
from bluegreen.log_tail import printable

READ_TIMEOUT = 15.0  # seconds
LONGEST = 4 * 1024 * 1024  # bytes read at most: how long a line is, a service decides
_STOP_JOB = "stop"  # JOB_TYPE= of systemd's line about a stop on request; restarts have another


async def tail(unit: str, lines: int) -> list[str]:
    """The last ``lines`` lines of a unit and about it, of earlier invocations too, fit to print.

    Raises SupervisorError when the journal cannot be read.
    """
    if lines <= 0:
        return []
    # The newest first, so that what is cut off is the oldest.
    output = await _read(
        "--unit", unit, "--output=json", f"--lines={lines}", "--reverse", "--all",
        "--output-fields=MESSAGE,JOB_TYPE,JOB_RESULT",
    )  # fmt: skip
    *entries, _ = output.split(b"\n")
    found = [line for entry in reversed(entries) for line in _lines(json.loads(entry))]
    return found[-lines:]


def _lines(entry: dict[str, Any]) -> Sequence[str]:
    if entry.get("JOB_TYPE") == _STOP_JOB and "JOB_RESULT" in entry:
        # As the embedded supervisor notes it: what follows belongs to another start.
        time = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6).astimezone()
        return [f"--- bluegreen: stopped at {time.isoformat(timespec='seconds')} ---"]
    return [printable(line) for line in _text(entry.get("MESSAGE")).split("\n")]


def _text(value: object) -> str:
    """A field of an entry: text, the bytes of what is none, or several of these."""
    if not isinstance(value, list):
        return str(value or "")
    if all(isinstance(part, int) for part in value):
        return bytes(value).decode(errors="replace")
    return "\n".join(map(_text, value))


async def _read(*arguments: str) -> bytes:
    try:
        process = await asyncio.create_subprocess_exec(
            "journalctl", "--no-pager", "--quiet", *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise _unreadable(str(error)) from error
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            output, errors = await asyncio.gather(
                _beginning(process.stdout), _beginning(process.stderr)
            )
            if len(output) < LONGEST:
                await process.wait()
    except TimeoutError as error:
        raise _unreadable(f"no answer within {READ_TIMEOUT:g} s") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode and len(output) < LONGEST:
        raise _unreadable(errors.decode(errors="replace").strip())
    return output


async def _beginning(stream: asyncio.StreamReader | None) -> bytes:
    """What a stream holds, up to `LONGEST` bytes."""
    chunks = bytearray()
    while stream is not None and len(chunks) < LONGEST:
        chunk = await stream.read(LONGEST - len(chunks))
        if not chunk:
            break
        chunks += chunk
    return bytes(chunks)


def _unreadable(why: str) -> SupervisorError:
    return SupervisorError(
        f"the journal cannot be read: {why}",
        remedy="is the daemon's user in the group systemd-journal? `bluegreen apply` sees to it; "
        "and does `journalctl -n 1` work?",
    )
