"""An nginx of our own, under ``--root``: started, found again, reloaded and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psutil

from bluegreen.errors import TrafficError
from bluegreen.processes import identify, is_alive
from bluegreen.traffic.nginx import QUOTED_LINES, HostNginx, accepts, remedy_for, words
from bluegreen.traffic.rendering import error_log, pid_file
from bluegreen.traffic.sockets import remove_stale_sockets, taken_by_strangers

STOP_TIMEOUT = 5.0  # seconds for each way to end it
POLL = 0.01  # seconds


class OwnNginx(HostNginx):
    """An nginx of our own. It outlives the daemon, and is found again by its PID file and title."""

    @property
    def _pid_file(self) -> Path:
        return pid_file(self._layout)

    @property
    def _configuration(self) -> Path:
        return self._layout.nginx / "nginx.conf"

    @property
    def _arguments(self) -> tuple[str, ...]:
        log = ("-e", str(error_log(self._layout))) if self._build.early_error_log else ()
        return ("-p", f"{self._layout.nginx}/", *log, "-c", str(self._configuration))

    @property
    def is_configured(self) -> bool:
        return self._configuration.is_file()

    def _is_master(self, process_title: str) -> bool:
        return super()._is_master(process_title) and str(self._configuration) in process_title

    async def start(self) -> None:
        """Start it in a session of its own, if it does not run.

        Raises TrafficError with nginx's words.
        """
        if await asyncio.to_thread(self.master) is not None:
            return
        await self._end_orphans()
        await asyncio.to_thread(remove_stale_sockets, self._layout)
        status, output = await self.run()
        if status != 0:
            raise TrafficError(
                "nginx did not start",
                detail=words(output),
                remedy=remedy_for(output, f"see {error_log(self._layout)}"),
            )

    async def reload(self) -> None:
        await asyncio.to_thread(remove_stale_sockets, self._layout)
        master = await asyncio.to_thread(self.master)
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end as we look
            if master is not None:
                master.send_signal(signal.SIGHUP)
                return
        raise TrafficError(
            "nginx does not run", remedy=f"start it again with: {self._layout.remedies.take_up}"
        )

    async def stop(self) -> None:
        """End it: gracefully, then at once, then by force; each within 5 s."""
        master = await asyncio.to_thread(self.master)
        identity = identify(master.pid) if master else None
        if master is None or identity is None:
            return
        workers = await asyncio.to_thread(_children, master)
        for number in (signal.SIGQUIT, signal.SIGTERM, signal.SIGKILL):
            _signal([master, *workers] if number is signal.SIGKILL else [master], number)
            if await _within(STOP_TIMEOUT, lambda: not is_alive(identity)):
                return

    def log_position(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            return error_log(self._layout).stat().st_size
        return 0

    def refusal(self, position: int) -> Sequence[str]:
        try:
            with error_log(self._layout).open("rb") as file:
                file.seek(position)
                lines = file.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return ()
        refused = [line for line in lines if "[emerg]" in line]
        # It tries a port for 2.5 s before this last word.
        final = [line for line in refused if "bind()" not in line or "still could not" in line]
        return refused[-QUOTED_LINES:] if final else ()

    async def check_ports(self, listens: Iterable[str]) -> None:
        """Raises TrafficError with the port that somebody else holds, and who."""
        if taken := await asyncio.to_thread(self._taken, listens):
            raise TrafficError(
                f"nginx cannot listen: {taken[0]}",
                detail=taken[1:],
                remedy="stop that program, or change listen in the [nginx] table of the app file",
            )

    def _taken(self, listens: Iterable[str]) -> list[str]:
        master = self.master()
        return taken_by_strangers(listens, [master] if master else self._orphans())

    async def _end_orphans(self) -> None:
        """A killed master leaves workers that go on serving and hold the ports."""
        orphans = await asyncio.to_thread(self._orphans)
        for number in (signal.SIGQUIT, signal.SIGKILL):
            _signal(orphans, number)
            if await _within(STOP_TIMEOUT, lambda: not any(accepts(each) for each in orphans)):
                return

    def _orphans(self) -> list[psutil.Process]:
        try:
            master = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return []
        return [process for process in psutil.process_iter() if _is_orphan(process, master)]


def _children(process: psutil.Process) -> list[psutil.Process]:
    """None of a process that has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children()
    return []


def _is_orphan(process: psutil.Process, master: int) -> bool:
    """Whether it is a worker that a dead master, of that PID, has left."""
    if not accepts(process) or _session(process.pid) != master:
        return False
    # The dead master led their session, and its PID is not given away while they live.
    with contextlib.suppress(psutil.NoSuchProcess):  # it may end as we look
        return process.ppid() != master
    return False


def _session(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid)
    return None


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


async def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds
    while not await asyncio.to_thread(condition):
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(POLL)
    return True
