"""What ``apply`` asks of systemd."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from bluegreen.errors import SupervisorError

QUERY_TIMEOUT = 30.0  # seconds
STOP_TIMEOUT = 600.0  # seconds until units that are gone have stopped
QUOTED_LINES = 12


async def reload_units() -> None:
    """``systemctl daemon-reload``. Raises SupervisorError, as all of these."""
    await _run("systemctl", "daemon-reload")


async def stop_units(units: Sequence[str]) -> None:
    """Stop ``units`` and wait until they have ended."""
    await _run("systemctl", "stop", "--", *units, timeout=STOP_TIMEOUT)


async def make_run_directories(file: Path) -> None:
    """Make now what the tmpfiles.d(5) ``file`` makes at every boot."""
    await _run("systemd-tmpfiles", "--create", str(file))


async def has_old_units(units: Sequence[str]) -> bool:
    """Whether systemd holds one of ``units`` in an older text than its file's."""
    said = await _run("systemctl", "show", "--property=NeedDaemonReload", "--", *units)
    return "NeedDaemonReload=yes" in said


async def version() -> int:
    """Of the systemd that is installed, such as 252."""
    said = await _run("systemctl", "--version")
    number = said.split()[1:2]
    return int(number[0]) if number and number[0].isdecimal() else 0


async def unit_property(unit: str, name: str) -> str:
    """What systemd says of a unit, such as its ``UnitFileState``; empty: nothing."""
    return (await _run("systemctl", "show", "--value", f"--property={name}", "--", unit)).strip()


async def running_units(pattern: str) -> list[str]:
    """Which units of ``pattern`` run, or are about to."""
    said = await _run(
        "systemctl", "list-units", "--plain", "--no-legend", "--no-pager",
        "--state=active,activating,deactivating,reloading", "--", pattern,
    )  # fmt: skip
    return [line.split()[0] for line in said.splitlines() if line.strip()]


async def _run(*command: str, timeout: float = QUERY_TIMEOUT) -> str:
    """What ``command`` said on its standard output."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said = " ".join(command)
    try:
        output, errors = await asyncio.wait_for(process.communicate(), timeout)
    except TimeoutError as error:
        raise SupervisorError(
            f"{said} did not end within {timeout:g} s",
            remedy="see what systemd waits for: systemctl list-jobs; then: bluegreen apply",
        ) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise SupervisorError(
            f"{said} failed ({process.returncode})",
            detail=errors.decode(errors="replace").splitlines()[:QUOTED_LINES],
            remedy="mend what it names, then: bluegreen apply",
        )
    return output.decode(errors="replace")
