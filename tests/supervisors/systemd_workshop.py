"""What scenarios on a systemd host make units, jobs and supervisors with. Runs there, as root."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

from bluegreen.errors import SupervisorError
from bluegreen.layout import Layout
from bluegreen.model import Job, ServiceUnit, Slot, UnitKey, UnitState, UnitStatus
from bluegreen.supervisors.systemd import SystemdSupervisor
from bluegreen.supervisors.unit_names import job_template, service_unit
from tests.waiting import eventually

UNITS = Path("/etc/systemd/system")
USER = "shopkeeper"
RUN_ON = "echo here; exec sleep 1000\n"  # the script of a service
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}

LAUNCHER = """\
import json, os, sys
spec = json.load(open(sys.argv[1]))
os.chdir(spec["cwd"])
os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
"""


async def command(*argv: str, check: bool = True) -> str:
    """What a command says; it succeeds."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0 or not check, f"{argv}: {output.decode()}"
    return output.decode()


async def refusal(asking: Awaitable[object]) -> SupervisorError:
    """The error that what was asked for ends with."""
    try:
        result = await asking
    except SupervisorError as error:
        return error
    raise AssertionError(f"it was not refused: {result}")


class Workshop:
    """One app of its own on the host."""

    def __init__(self, app: str) -> None:
        self.app = app
        self.layout = Layout(Path("/"))
        self.places = self.layout.app(app)
        self.work = Path("/srv") / app
        self.supervisors: list[SystemdSupervisor] = []
        self.heard: list[UnitStatus] = []

    async def prepare(self) -> None:
        """The app's user and directories, as `bluegreen apply` makes them."""
        if USER not in {entry.pw_name for entry in pwd.getpwall()}:
            await command("useradd", "--system", "--no-create-home", USER)
        self._directories()

    def _directories(self) -> None:
        for directory in (self.places.wanted, self.places.jobs, self.work):
            directory.mkdir(parents=True)
        shutil.chown(self.places.jobs, group=USER)
        self.places.jobs.chmod(0o2750)
        shutil.chown(self.work, user=USER)
        (self.work / "launcher.py").write_text(LAUNCHER)

    def key(self, service: str, slot: Slot = Slot.BLUE) -> UnitKey:
        return UnitKey(app=self.app, slot=slot, service=service)

    async def write(
        self, script: str, *, service: str = "api", slot: Slot = Slot.BLUE,
        version: str = "v1", unit: str = "", more: str = "",
    ) -> ServiceUnit:  # fmt: skip
        """A service that is a shell script, and its unit file with ``more`` in [Service]."""
        program = self.work / f"{service}.sh"
        program.write_text(script)
        key = self.key(service, slot)
        (UNITS / service_unit(key)).write_text(
            f"[Unit]\nConditionPathExists={self.places.wanted / slot.value}\n{unit}\n"
            f"[Service]\nType=exec\nUser={USER}\nWorkingDirectory={self.work}\nRestart=always\n"
            f"RestartSec=100ms\nTimeoutStopSec=1s\nExecStart=/bin/sh {program}\n{more}\n"
            "[Install]\nWantedBy=multi-user.target\n"
        )
        await command("systemctl", "daemon-reload")
        return ServiceUnit(
            key=key, argv=("/bin/sh", str(program)), cwd=self.work,
            env={**ENV, "BLUEGREEN_VERSION": version}, stop_timeout=1,
            log_file=self.work / "unused.log",
        )  # fmt: skip

    async def write_job_template(self, more: str = "Type=exec") -> None:
        (UNITS / job_template(self.app)).write_text(
            f"[Service]\nUser={USER}\nTimeoutStopSec=20s\n"
            f"ExecStart=/usr/bin/python3 {self.work}/launcher.py {self.places.jobs}/%i.json\n"
            f"{more}\n"
        )
        await command("systemctl", "daemon-reload")

    def job(self, script: str, *, name: str = "build", timeout: float = 60) -> Job:
        return Job(
            app=self.app, name=name, argv=("sh", "-c", script), cwd=self.work, env=ENV,
            timeout=timeout, log_file=self.work / f"{name}.log",
        )  # fmt: skip

    async def supervisor(self, *units: ServiceUnit) -> SystemdSupervisor:
        """A supervisor that was opened with ``units``."""
        supervisor = SystemdSupervisor(self.layout)
        self.supervisors.append(supervisor)
        supervisor.on_change = self.heard.append
        await supervisor.open(units)
        return supervisor

    def states(self) -> list[UnitState]:
        """The states that were told of, each once in a row."""
        states = [status.state for status in self.heard]
        return [s for i, s in enumerate(states) if i == 0 or states[i - 1] is not s]

    async def line(self, file: Path) -> str:
        """The first line of a file, once it is there."""
        found: list[str] = []

        def look() -> bool:
            found[:] = file.read_text().split("\n") if file.exists() else []
            return len(found) > 1

        await eventually(look, f"{file} has a line")
        return found[0]

    async def active(self, key: UnitKey) -> str:
        """What systemctl says of a service."""
        return (await command("systemctl", "is-active", service_unit(key), check=False)).strip()

    async def no_job_is_left(self) -> None:
        """No unit of a job runs, has failed, or is kept in memory for long."""
        listing = ("systemctl", "list-units", "--all", "--plain", "--no-legend")

        async def none_is_left() -> bool:
            # systemd unloads what has ended when it has nothing else to do.
            left = await command(*listing, job_template(self.app).replace("@", "@*"))
            assert " failed " not in left, left
            return not left

        await eventually(none_is_left, "systemd has unloaded the units of all jobs")


@contextlib.asynccontextmanager
async def workshop(app: str) -> AsyncIterator[Workshop]:
    """A workshop; nothing of it runs afterwards, and no task of it failed unheard."""
    loop = asyncio.get_running_loop()
    unheard: list[object] = []
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    made = Workshop(app)
    await made.prepare()
    try:
        yield made
    finally:
        for supervisor in made.supervisors:
            await supervisor.close(stop_units=True)
    assert not unheard, unheard
    assert not list(made.places.jobs.iterdir())
    assert len(asyncio.all_tasks()) == 1, asyncio.all_tasks()


def is_alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")
