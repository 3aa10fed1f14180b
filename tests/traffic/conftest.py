"""A root with an nginx of its own, two slots of real backends, and an app's settings."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.layout import Layout
from bluegreen.model import Hold
from bluegreen.traffic.control import TrafficControl
from bluegreen.traffic.rendering import pid_file
from tests.marks import marker_names
from tests.traffic.backends import Backend


class World:
    """One root; ``site`` is the port that clients use."""

    def __init__(self, root: Path, site: int, blue: int, green: int) -> None:
        self.layout = Layout(root)
        self.site = site
        self.ports = {"blue": blue, "green": green}
        self.control = TrafficControl(self.layout, own_nginx=True)

    def settings(
        self, name: str = "shop", *, promote: Any = None, preview: Any = None, **nginx: Any
    ) -> AppSettings:
        return AppSettings.model_validate(
            {
                "promote": promote or {},
                "preview": preview or {},
                "app": {"name": name},
                "source": {"directory": "/srv/releases/{version}"},
                "services": {"web": {"command": "true", "ports": self.ports}},
                "routes": [
                    {"path": "/", "service": "web"},
                    {"path": "/ws/", "service": "web", "websocket": True},
                ],
                "nginx": {"listen": [f"127.0.0.1:{self.site}"], **nginx},
            }
        )

    def administrator_writes(self, text: str, name: str = "mine.conf") -> Path:
        path = self.layout.config / "nginx" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def master(self) -> int:
        return int(pid_file(self.layout).read_text())

    async def release(self, settings: AppSettings) -> Hold:
        """Lift the hold, and return once nobody waits any more; what held them."""
        held = await self.control.lift_hold(settings)
        await self.control.until_let_through(settings)
        return held

    @property
    def markers(self) -> set[str]:
        return marker_names(self.layout.app("shop").traffic)

    def nginx_processes(self) -> list[psutil.Process]:
        """The nginx processes of this root, whoever their parent is."""
        try:
            master = self.master()
        except (OSError, ValueError):
            return []
        found = []
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if process.name() == "nginx" and os.getsid(process.pid) == master:
                    found.append(process)
        return found

    def gate(self) -> int | None:
        """The PID of the gate's process, if one was started."""
        try:
            record = json.loads(self.layout.gate_record.read_text())
        except FileNotFoundError:
            return None
        pid: int = record["session"]["leader"]["pid"]
        return pid

    def end_gate(self) -> None:
        pid = self.gate()
        with contextlib.suppress(psutil.Error):
            if pid is not None and str(self.layout.apps) in psutil.Process(pid).cmdline():
                os.kill(pid, signal.SIGKILL)

    def end_nginx(self) -> None:
        """Until none is left: a master that reloads makes workers that a first look may miss."""
        while found := [each for each in self.nginx_processes() if _lives(each)]:
            for process in found:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.fixture
async def world(root: Path, free_ports: Callable[[int], list[int]]) -> AsyncIterator[World]:
    world = World(root, *free_ports(3))
    yield world
    await world.control.close(stop_nginx=False)
    world.end_nginx()
    world.end_gate()


@pytest.fixture
async def slots(world: World) -> AsyncIterator[dict[str, Backend]]:
    """Both slots are up and answer with their names."""
    async with contextlib.AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(Backend(name, port).serving())
            for name, port in world.ports.items()
        }
