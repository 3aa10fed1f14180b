"""What services have written, and systemd about them, from the journal.

Entries come from ``journalctl``. A point in the journal is an entry's cursor, which holds for the
units of all services: what is up to it and what comes after it are read one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime

from bluegreen.log_tail import printable
from bluegreen.supervisors.journalctl import Entry, journalctl, unreadable

READ_TIMEOUT = 15.0  # seconds
FOLLOW_INTERVAL = 0.2  # seconds between looks at whether to go on, while nothing comes
LONGEST_TAIL = 16 * 1024 * 1024  # characters of last lines: how long one is, a service decides
CUT_OFF = "--- bluegreen: what is older is left out, it is too much ---"
_STOP_JOB = "stop"  # JOB_TYPE= of systemd's line about a stop on request; restarts have another
_SAID = "--output-fields=MESSAGE,JOB_TYPE,JOB_RESULT,_SYSTEMD_UNIT,UNIT,OBJECT_SYSTEMD_UNIT"
# Which of its fields says whom an entry is about. Nobody but journald can write the first one, and
# entries are found by the others only where root has written them.
_ABOUT = ("_SYSTEMD_UNIT", "UNIT", "OBJECT_SYSTEMD_UNIT")


async def tail(unit: str, lines: int) -> list[str]:
    """The last ``lines`` lines of a unit and about it, of earlier invocations too, fit to print.

    Raises SupervisorError when the journal cannot be read.
    """
    return [printable(line) for line in await _newest(unit, lines)]


async def log_lines(
    units: Sequence[str], lines: int, *, follow: Callable[[], bool]
) -> AsyncGenerator[tuple[str, str], None]:
    """Lines, each after its unit, of ``units`` and about them: see `Supervisor.log_lines`.

    Raises SupervisorError when the journal cannot be read, now or in its middle.
    """
    return _up_to_and_after(await _now(), units, lines, follow)


async def _up_to_and_after(
    now: Entry | None, units: Sequence[str], lines: int, follow: Callable[[], bool]
) -> AsyncGenerator[tuple[str, str], None]:
    cursor = None if now is None else now["__CURSOR"]
    start = []
    if now is not None:  # an empty journal has no last lines
        for unit in units:
            for line in await _newest(unit, lines, f"--cursor={cursor}"):
                yield unit, line
        # Named, as following is of one boot: the kernel's name for it is another than the
        # journal's in a container, where a sandboxed daemon sees the former.
        start = [f"--cursor={cursor}", f"--boot={now['_BOOT_ID']}"]
    of = [f"--unit={unit}" for unit in units]
    if not follow():
        return
    async with journalctl("--follow", "--no-tail", *start, *of, _SAID) as output:
        while follow():
            try:
                async with asyncio.timeout(FOLLOW_INTERVAL):
                    entry = await output.entry()
            except TimeoutError:
                continue
            if entry is None:
                raise unreadable(await output.complaint() or "journalctl has ended")
            # The cursor's own entry comes first, if it is of these units and still there.
            about = _about(entry, units)
            if about is not None and entry.get("__CURSOR") != cursor:
                for line in _lines(entry):
                    yield about, line


async def _now() -> Entry | None:
    """The newest entry there is; None where there is none."""
    try:
        async with (
            asyncio.timeout(READ_TIMEOUT),
            journalctl("--lines=1", "--output-fields=MESSAGE_ID") as output,
        ):
            entry = await output.entry()
            if entry is None:
                await output.must_have_ended_well()
            return entry
    except TimeoutError as error:
        raise unreadable(f"no answer within {READ_TIMEOUT:g} s") from error


async def _newest(unit: str, lines: int, *up_to: str) -> list[str]:
    """The last ``lines`` lines of a unit, as they were written, the oldest first."""
    found: list[str] = []  # the newest first: what is cut off is the oldest
    size = 0
    if lines <= 0:
        return found
    try:
        async with (
            asyncio.timeout(READ_TIMEOUT),
            journalctl(f"--unit={unit}", f"--lines={lines}", "--reverse", *up_to, _SAID) as output,
        ):
            while len(found) < lines:
                entry = await output.entry()
                if entry is None:
                    await output.must_have_ended_well()
                    break
                said = _lines(entry)
                size += sum(map(len, said))
                if size > LONGEST_TAIL:
                    found.append(CUT_OFF)
                    break
                found += reversed(said)
    except TimeoutError as error:
        raise unreadable(f"no answer within {READ_TIMEOUT:g} s") from error
    return found[:lines][::-1]


def _about(entry: Entry, units: Sequence[str]) -> str | None:
    """Which of ``units`` an entry is of; None: of one that only its text's fields name."""
    for field in _ABOUT:
        unit = entry.get(field)
        if isinstance(unit, str) and unit in units:
            return unit
    return None


def _lines(entry: Entry) -> Sequence[str]:
    if entry.get("JOB_TYPE") == _STOP_JOB and "JOB_RESULT" in entry:
        # As the embedded supervisor notes it: what follows belongs to another start.
        time = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6).astimezone()
        return [f"--- bluegreen: stopped at {time.isoformat(timespec='seconds')} ---"]
    return [line.rstrip("\r") for line in _text(entry.get("MESSAGE")).split("\n")]


def _text(value: object) -> str:
    """A field of an entry: text, the bytes of what is none, or several of these."""
    if not isinstance(value, list):
        return str(value or "")
    if all(isinstance(part, int) for part in value):
        return bytes(value).decode(errors="replace")
    return "\n".join(map(_text, value))
