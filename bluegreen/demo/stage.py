"""Where the demo plays: a root of its own, with a daemon, an nginx and the sample app's repository.

Whatever is started here is ended here, by its identity: first the daemon, which ends the apps and
nginx, then whatever a daemon that was killed may have left.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import shutil
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bluegreen.cli.client import Client
from bluegreen.demo.appfile import SERVICES, monitor_app_file
from bluegreen.demo.commands import Commands
from bluegreen.demo.daemon_process import DaemonProcess
from bluegreen.demo.ports import HOST, claimed_ports
from bluegreen.demo.versions import make_repository
from bluegreen.files import write_atomically
from bluegreen.layout import Layout
from bluegreen.model import Slot
from bluegreen.supervisors.embedded import EmbeddedSupervisor
from bluegreen.traffic.build import installed_build
from bluegreen.traffic.own_nginx import OwnNginx

APP = "monitor"
TEMPORARY = Path("/tmp")  # noqa: S108 - a short path, as unix sockets need; mkdtemp makes it ours
VISIT_SECONDS = 10.0

DEADLINE_SECONDS = 8  # from a release's start to its gate passed
WATCH_SECONDS = 6
# In the middle of the watch, however long the gate takes; and in a service that the load does not
# use, as no switch saves a request that is inside a process that crashes.
CRASH_SECONDS, CRASHING_SERVICE = 5, "stream"
BUILD_SECONDS = 2
STOP_SECONDS = 6  # more than a download takes
STRANGER_SECONDS = 10.0  # until it listens
_PAUSE = f"""
# Builds take their time, and are interrupted in the middle.
[[build]]
name = "pause"
run = "sleep {BUILD_SECONDS}"
timeout = "1m"
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a visitor got from the API of the app, through nginx."""

    status: int
    slot: str = "nowhere"
    version: str = "a page that names no version"

    def __str__(self) -> str:
        where = f"{self.version} from {self.slot}"
        return where if self.status == http.client.OK else f"status {self.status}"


class Stage:
    """One root and what runs in it."""

    def __init__(self, root: Path, port: int, ports: Sequence[int]) -> None:
        """``port`` is nginx's; ``ports`` are the app's, as in ``monitor_app_file``."""
        self.layout = Layout(root)
        self.client = Client(root)
        self.commands = Commands(root)
        self.daemon = DaemonProcess(self.layout)
        self.left = False
        self.port = port
        self.ports = ports

    @property
    def root(self) -> Path:
        return self.layout.root

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def status(self) -> dict[str, Any]:
        """The app's, as the API says it."""
        found: dict[str, Any] = await asyncio.to_thread(self.client.get, f"/v1/apps/{APP}")
        return found

    def add_to_app_file(self, sections: str) -> None:
        """Whole tables, at its end."""
        path = self.layout.app_files / f"{APP}.toml"
        write_atomically(path, path.read_text() + sections)

    async def visit(self) -> Answer:
        """One request through nginx, on a connection of its own. OSError, HTTPException."""
        return await asyncio.to_thread(_visit, self.port)

    async def redirect(self, path: str) -> str:
        """Where a visitor of ``path`` is sent, through nginx. OSError, HTTPException."""
        return await asyncio.to_thread(_redirect, self.port, path)

    @contextlib.asynccontextmanager
    async def stranger(self, slot: Slot) -> AsyncIterator[int]:
        """Some other program listens on the port of that slot's API; its port."""
        port = self.ports[2 * SERVICES.index("api") + list(Slot).index(slot)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-u", "-m", "http.server", str(port), "--bind", HOST,
            cwd=self.layout.app_files,
            stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL,
        )  # fmt: skip
        try:
            if process.stdout is not None:  # it says when it listens
                await asyncio.wait_for(process.stdout.readline(), STRANGER_SECONDS)
            yield port
        finally:
            process.kill()
            await process.wait()

    def leave(self) -> None:
        """Let everything run on without us."""
        self.daemon.let_go()
        self.left = True

    async def clear(self) -> None:
        """End everything that runs in this root."""
        await self.daemon.stop()
        # Nothing is left, unless the daemon was killed or told to end before it was ready.
        supervisor = EmbeddedSupervisor(self.layout)
        await supervisor.open([])
        await supervisor.close(stop_units=True)
        await OwnNginx(await installed_build(), self.layout).stop()


@contextlib.asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """A stage that is set up, without a daemon yet; cleared and removed unless it was left.

    Raises BluegreenError where nginx, git or ports are missing on this machine.
    """
    await installed_build()
    with claimed_ports(1 + 2 * len(SERVICES)) as (listen, *ports):
        root = Path(tempfile.mkdtemp(prefix="bg-demo-", dir=TEMPORARY))
        stage = Stage(root, listen, ports)
        try:
            repository = root / f"{APP}.git"
            await asyncio.to_thread(make_repository, repository)
            await asyncio.to_thread(_write_app_file, stage, repository)
            yield stage
        finally:
            if not stage.left:
                await stage.clear()
                await asyncio.to_thread(shutil.rmtree, root)


def _write_app_file(stage: Stage, repository: Path) -> None:
    text = monitor_app_file(
        name=APP,
        source=str(repository),
        ports=stage.ports,
        listen=stage.port,
        deadline=f"{DEADLINE_SECONDS}s",
        watch=f"{WATCH_SECONDS}s",
        smoke=True,
        stop_timeout=f"{STOP_SECONDS}s",
        env={
            "MONITOR_CRASH_AFTER": str(CRASH_SECONDS),
            "MONITOR_CRASH_SERVICE": CRASHING_SERVICE,
        },
        extra=_PAUSE,
    )
    stage.layout.app_files.mkdir(parents=True)
    (stage.layout.app_files / f"{APP}.toml").write_text(text)


def _redirect(port: int, path: str) -> str:
    connection = http.client.HTTPConnection(HOST, port, timeout=VISIT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    return response.headers.get("Location", f"status {response.status}")


def _visit(port: int) -> Answer:
    connection = http.client.HTTPConnection(HOST, port, timeout=VISIT_SECONDS)
    try:
        connection.request("GET", "/api/health")
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    try:
        seen = json.loads(body)
        return Answer(status=response.status, slot=seen["slot"], version=seen["version"])
    except (ValueError, KeyError, TypeError):  # a page, of nginx or of a broken release
        return Answer(status=response.status)
