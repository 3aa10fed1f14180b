"""The nginx of the host: tested, reloaded and watched from outside."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from bluegreen.errors import TrafficError
from bluegreen.layout import Layout
from bluegreen.traffic.build import NginxBuild
from bluegreen.traffic.sockets import remove_stale_sockets

COMMAND_TIMEOUT = 30.0  # seconds for nginx -t, a start, a reload
QUOTED_LINES = 12
_WORKER = "nginx: worker process"
_LEAVING = "is shutting down"
_WARNING = re.compile(r"\[warn\] (?:\d+#\d+: )?(.+)")
# nginx writes its title over its environment, so that must not be empty.
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def title(process: psutil.Process) -> str:
    """What the process calls itself; empty when it has ended."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def accepts(worker: psutil.Process) -> bool:
    """Whether a worker still takes new connections."""
    return title(worker).startswith(_WORKER) and _LEAVING not in title(worker)


def words(output: str) -> list[str]:
    """What nginx said, worst first and not all of it."""
    lines = [line.removeprefix("nginx: ") for line in output.splitlines() if line.strip()]
    bad = [line for line in lines if "[emerg]" in line or "[alert]" in line or "[crit]" in line]
    return list(dict.fromkeys(bad or lines))[:QUOTED_LINES]


def remedy_for(output: str, otherwise: str) -> str:
    """What to do about what nginx said."""
    if re.search(r"bind\(\) to .* failed \(13: Permission denied\)", output):
        return (
            "only root may listen there: name a port from 1024 up in the app file, such as "
            'listen = ["8080"] under [nginx]'
        )
    if found := re.search(r"bind\(\) to (\S+) failed \(99: ", output):
        return (
            f"this host has no such address as {found[1]}: correct listen under [nginx] in the "
            "app file that names it"
        )
    return otherwise


def warnings(output: str) -> list[str]:
    """What nginx warns of, though it accepts it; each with what to do."""
    found = dict.fromkeys(match[1].strip() for match in _WARNING.finditer(output))
    return [f"nginx warns: {line}; {_remedy(line)}" for line in found]


def _remedy(line: str) -> str:
    if line.startswith("conflicting server name"):
        return (
            "two sites have that name there, and only one of them gets its requests; see which: "
            "nginx -T; then take the name out of the other"
        )
    return "see the file that it names"


class HostNginx:
    """The nginx of the host, which others start and stop."""

    def __init__(self, build: NginxBuild, layout: Layout) -> None:
        self._build = build
        self._layout = layout

    @property
    def _pid_file(self) -> Path:
        return Path(self._build.pid_file)

    @property
    def _arguments(self) -> tuple[str, ...]:
        return ()

    @property
    def is_configured(self) -> bool:
        """Whether there is anything to start it with."""
        return True

    async def test(self) -> list[str]:
        """``nginx -t``: what it warns of. Raises TrafficError with nginx's words."""
        status, output = await self.run("-t", "-q")
        if status != 0:
            raise TrafficError(
                "nginx does not accept the configuration",
                detail=words(output),
                remedy=remedy_for(
                    output,
                    "mend the file that nginx names (it may be another site's), then try again",
                ),
            )
        return warnings(output)

    async def check_ports(self, listens: Iterable[str]) -> None:
        """Whether nginx could listen there. The host's nginx says so itself, in its log."""
        del listens

    async def reload(self) -> None:
        """Tell nginx to load its files again; it answers later, by what it serves."""
        await asyncio.to_thread(remove_stale_sockets, self._layout)
        status, output = await self.run("-s", "reload")
        if status != 0:
            raise TrafficError(
                "nginx was not reloaded",
                detail=words(output),
                remedy="see that nginx runs: systemctl status nginx",
            )

    def master(self) -> psutil.Process | None:
        """The running master process."""
        try:
            process = psutil.Process(int(self._pid_file.read_text()))
        except (OSError, ValueError, psutil.Error):
            return None
        return process if self._is_master(title(process)) else None

    def workers(self) -> list[psutil.Process]:
        """The workers that accept connections."""
        with contextlib.suppress(psutil.Error):
            master = self.master()
            return [child for child in master.children() if accepts(child)] if master else []
        return []

    def log_position(self) -> int:
        """A place in the error log, for ``refusal``."""
        return 0

    def refusal(self, position: int) -> Sequence[str]:
        """Why nginx did not take up a reload, if its log says so after ``position``."""
        del position
        return ()

    def _is_master(self, process_title: str) -> bool:
        return process_title.startswith("nginx: master process")

    async def run(self, *arguments: str) -> tuple[int, str]:
        """The exit status of the nginx program, and what it said."""
        process = await asyncio.create_subprocess_exec(
            self._build.binary, *self._arguments, *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, env=_ENVIRONMENT, start_new_session=True,
        )  # fmt: skip
        try:
            _, output = await asyncio.wait_for(process.communicate(), COMMAND_TIMEOUT)
        except TimeoutError as error:
            raise TrafficError(
                f"nginx {' '.join(arguments)} did not end within {COMMAND_TIMEOUT:g} s",
                remedy="run it by hand and see what it waits for (a name server, a certificate)",
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, output.decode(errors="replace")
