"""A host in production: bluegreen installed, nginx and the daemon running, and the sample app."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bluegreen.demo.appfile import monitor_app_file
from bluegreen.demo.load_process import LoadProcess
from bluegreen.demo.load_settings import LoadSettings
from bluegreen.demo.versions import make_repository
from tests.host.lab import Host, Said
from tests.host.program import PROGRAM
from tests.waiting import PATIENCE

LISTEN = 8080
PORTS = tuple(range(9001, 9009))
APP, DAEMON = "monitor", "bluegreen.service"
REPOSITORY = "/srv/git/monitor.git"
URL = f"http://127.0.0.1:{LISTEN}"
_ASK = """\
import sys, urllib.request as r
url, host = sys.argv[1:]
print(r.urlopen(r.Request(url, headers={"Host": host}), timeout=60).read().decode())
"""


@dataclass(frozen=True)
class Production:
    """The host, and what an operator, a visitor and a test do on it, with one of its apps."""

    host: Host
    app_name: str = APP

    def path(self, inside: str) -> Path:
        """Where a file of the host is for the test."""
        return self.host.root / inside.lstrip("/")

    async def install(self) -> None:
        """What an install does once its files are there: the daemon runs, and so does nginx."""
        run = self.host.run
        await run(
            "useradd", "--system", "--home-dir=/var/lib/bluegreen", "--user-group", "bluegreen"
        )
        self.path("/etc/nginx/sites-enabled/default").unlink(missing_ok=True)
        await run("systemctl", "daemon-reload")
        # As enabled, without the scripts that keep System V's links in step.
        await run("systemctl", "add-wants", "multi-user.target", "nginx.service")
        await run("systemctl", "start", "nginx.service", "bluegreen.service")

    async def set_up(self, **options: Any) -> None:
        """An installed bluegreen, and the sample app without a release."""
        await self.prepare()
        self.write_app(**options)
        await self.bluegreen("apply")

    async def prepare(self) -> None:
        """An installed bluegreen, and what app files name: a user, and a repository."""
        await self.install()
        await self.host.run("useradd", "--system", "--user-group", APP)
        await asyncio.to_thread(self._make_repository)
        await self.host.run("chown", "-R", "bluegreen:", REPOSITORY)

    def _make_repository(self) -> None:
        repository = self.path(REPOSITORY)
        repository.parent.mkdir(parents=True)
        make_repository(repository)

    def write_app(self, *, ports: Sequence[int] = PORTS, **options: Any) -> None:
        text = monitor_app_file(
            name=self.app_name, source=REPOSITORY, ports=ports, listen=LISTEN,
            python=f"{PROGRAM}/bin/python", **options,
        )  # fmt: skip
        if self.app_name != APP:  # one of several, which nginx tells apart
            text = text.replace("[nginx]\n", f'[nginx]\nserver_name = ["{self.app_name}"]\n', 1)
        file = self.path(f"/etc/bluegreen/apps/{self.app_name}.toml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("[app]\n", f'[app]\nuser = "{APP}"\n', 1))

    # -- the operator -----------------------------------------------------------------------

    async def bluegreen(self, *arguments: str, check: bool = True) -> Said:
        return await self.host.run(f"{PROGRAM}/bin/bluegreen", *arguments, check=check)

    async def document(self, *arguments: str) -> Any:
        """What a command says with ``--json``; of several documents, the last."""
        said = await self.bluegreen(*arguments, "--json")
        return json.loads(said.output.splitlines()[-1])

    async def status(self) -> Any:
        return await self.document("status", self.app_name)

    async def deploy(self, version: str, *, check: bool = True) -> Said:
        return await self.bluegreen("deploy", self.app_name, version, check=check)

    async def unit(self, name: str, prop: str) -> str:
        said = await self.host.run("systemctl", "show", "--value", f"--property={prop}", name)
        return said.output.strip()

    # -- the visitors -----------------------------------------------------------------------

    @property
    def _from_its_network(self) -> Sequence[str]:
        return ("nsenter", f"--net=/proc/{self.host.leader}/ns/net", "--")

    async def ask(self, path: str = "/api/health", *, at: str = URL) -> str:
        """What a visitor of ``path`` gets. AssertionError when it is an error."""
        process = await asyncio.create_subprocess_exec(
            *self._from_its_network, sys.executable, "-c", _ASK, at + path, self.app_name,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 0, errors.decode()
        return output.decode()

    async def served(self) -> Any:
        """The version that visitors get."""
        return json.loads(await self.ask())["version"]

    def load(self, **options: Any) -> LoadProcess:
        """Visitors who ask for as long as its ``async with`` block runs."""
        wanted = {"connections": 16, "websockets": 4, "downloads": 2, "think": 0.01, **options}
        return LoadProcess(LoadSettings(url=URL, **wanted), prefix=self._from_its_network)
