"""A whole bluegreen for a test: a root, a real daemon process, nginx, git and the sample app."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bluegreen.demo.appfile import SERVICES, monitor_app_file
from bluegreen.demo.versions import make_repository
from bluegreen.layout import Layout
from bluegreen.processes import ProcessIdentity, Session, identify
from bluegreen.supervisors.sessions import session_members
from bluegreen.traffic.rendering import pid_file
from tests import forking
from tests.forking import Process
from tests.marks import marker_names
from tests.ports import kernel_ports
from tests.waiting import PATIENCE, eventually

PYTHON = sys.executable
# aiohttp reads all of the host's as it is imported, a sixth of the daemon's start: none is used.
_NO_CERTIFICATES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document that was printed; of several, the last."""
        return json.loads(self.out.splitlines()[-1])


@dataclass
class Stack:
    """One root. Apps are written to it before the daemon is started, or taken up by reload."""

    root: Path
    repository: Path
    services: tuple[str, ...] = SERVICES  # of apps that are written without naming theirs
    listen: dict[str, int] = field(default_factory=dict)
    ports: dict[str, list[int]] = field(default_factory=dict)
    daemon: Process | None = None

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def write_app(self, name: str = "monitor", **options: Any) -> Path:
        """An app file for the sample app; see ``monitor_app_file`` for the options."""
        services = options.pop("services", self.services)
        if name not in self.ports:
            self.listen[name], *self.ports[name] = kernel_ports(1 + 2 * len(services))
        text = monitor_app_file(
            name=name,
            source=options.pop("source", str(self.repository)),
            ports=self.ports[name],
            listen=self.listen[name],
            services=services,
            **options,
        )
        path = self.layout.app_files / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def url(self, name: str = "monitor") -> str:
        return f"http://127.0.0.1:{self.listen[name]}"

    # -- the daemon -------------------------------------------------------------------------

    @property
    def daemon_log(self) -> Path:
        return self.root / "daemon.log"

    async def serve(self, *options: str, prefix: tuple[str, ...] = ()) -> None:
        """Start the daemon and wait until it answers. AssertionError quotes its log.

        ``prefix`` is a command that executes it; else it is forked (`tests.forking`).
        """
        command = ("serve", "--root", str(self.root), *options)
        env = {**os.environ, **_NO_CERTIFICATES}
        process: Process
        with self.daemon_log.open("ab") as log:
            if prefix:
                process = await asyncio.create_subprocess_exec(
                    *prefix, PYTHON, "-m", "bluegreen", *command,
                    stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                )  # fmt: skip
            else:
                process = await forking.fork(command, env=env, log=log)
        self.daemon = process

        def listens() -> bool:
            if process.returncode is not None:
                raise AssertionError(f"the daemon has ended:\n{self.daemon_log.read_text()}")
            return _listens(self.layout.control_socket)

        async def answers() -> bool:
            try:
                return listens() and (await self.ask("GET", "/v1/apps"))[0] == 200
            except aiohttp.ClientError:
                return False  # it goes away: whether it has ended is looked at next

        await eventually(listens, "the daemon listens")
        await eventually(answers, "the daemon answers")

    async def kill(self) -> None:
        """SIGKILL the daemon."""
        assert self.daemon is not None
        with contextlib.suppress(ProcessLookupError):
            self.daemon.kill()
        await self.daemon.wait()

    async def terminate(self) -> int:
        """SIGTERM the daemon; its exit status."""
        assert self.daemon is not None
        self.daemon.terminate()
        return await asyncio.wait_for(self.daemon.wait(), PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        assert self.daemon is not None
        self.daemon.send_signal(number)

    # -- commands ---------------------------------------------------------------------------

    async def start_cli(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            PYTHON, "-m", "bluegreen", *arguments, "--root", str(self.root),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def cli(self, *arguments: str) -> Answer:
        """Run one command to its end."""
        process = await self.start_cli(*arguments)
        try:
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        return Answer(process.returncode or 0, out.decode(), err.decode())

    async def deploy(self, version: str, app: str = "monitor") -> Answer:
        """Deploy, and fail the test with all that was said unless it worked."""
        answer = await self.cli("deploy", app, version)
        assert answer.status == 0, answer.out + answer.err
        return answer

    async def ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and document of one request: a command would cost a Python start each time.

        Raises aiohttp.ClientError when the daemon goes away.
        """
        connector = aiohttp.UnixConnector(path=str(self.layout.control_socket))
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(
                method, f"http://bluegreen{path}", json=body, headers=headers
            ) as response,
        ):
            return response.status, await response.json()

    async def reload(self) -> None:
        """Have the daemon take up what the files say now."""
        status, document = await self.ask("POST", "/v1/reload", {})
        assert status == 200, document

    async def status(self, app: str = "monitor") -> Any:
        """What ``bluegreen status APP --json`` shows of the app."""
        status, document = await self.ask("GET", f"/v1/apps/{app}?probe=1")
        assert status == 200, document
        return document

    async def operations(self, app: str = "monitor") -> list[Any]:
        """Newest first."""
        status, document = await self.ask("GET", f"/v1/apps/{app}/operations?limit=100")
        assert status == 200, document
        operations: list[Any] = document["operations"]
        return operations

    def marker(self, app: str = "monitor") -> str:
        """The slot that the marker names; AssertionError unless there is exactly one."""
        names = marker_names(self.layout.app(app).traffic)
        (slot,) = names & {"blue", "green"}
        return slot

    # -- the end ----------------------------------------------------------------------------

    async def end(self) -> None:
        """End the daemon, what it has started, and its nginx: only those, by identity."""
        if self.daemon is not None and self.daemon.returncode is None:
            await self.kill()
        for member in (*self.gate_processes(), *self.live_processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)
        await self._end_nginx()

    def live_processes(self) -> list[ProcessIdentity]:
        """Every live process of the sessions that the daemon has recorded, but for the gate's."""
        return self._recorded_in(self.layout.process_records.glob("*.json"))

    def gate_processes(self) -> list[ProcessIdentity]:
        """What answers for held requests, once there is any."""
        return self._recorded_in([self.layout.gate_record])

    def _recorded_in(self, records: Iterable[Path]) -> list[ProcessIdentity]:
        found: list[ProcessIdentity] = []
        for path in records:
            try:
                session = json.loads(path.read_text())["session"]
            except FileNotFoundError:
                continue  # it has ended since
            leader = ProcessIdentity(**session["leader"])
            found += session_members(
                Session(leader=leader, invocation=session["invocation"]), psutil.pids()
            )
        return found

    async def _end_nginx(self) -> None:
        path = pid_file(self.layout)
        text = path.read_text().strip() if path.exists() else ""
        identity = identify(int(text)) if text.isdecimal() else None
        if identity is None or str(self.root) not in _command_line(identity.pid):
            return
        os.kill(identity.pid, signal.SIGTERM)
        await eventually(lambda: identify(identity.pid) != identity, "nginx has ended")


def _listens(path: Path) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        return connection.connect_ex(str(path)) == 0


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@functools.cache
def _made_repository() -> Path:
    """Made once, and never changed: every stack has a copy of it."""
    directory = Path(tempfile.mkdtemp(prefix="bg-made-"))
    atexit.register(shutil.rmtree, directory)
    make_repository(directory / "monitor.git")
    return directory / "monitor.git"


@contextlib.asynccontextmanager
async def stack() -> AsyncIterator[Stack]:
    """A root with the sample app's repository beside it, ended and removed afterwards."""
    root = Path(tempfile.mkdtemp(prefix="bg-"))
    repository = root / "monitor.git"
    await asyncio.to_thread(lambda: shutil.copytree(_made_repository(), repository))
    built = Stack(root=root, repository=repository)
    try:
        yield built
    finally:
        await built.end()
        await asyncio.to_thread(shutil.rmtree, root)
