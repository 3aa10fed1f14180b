"""An nginx of our own that ends at the wrong moment."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from bluegreen.errors import TrafficError
from bluegreen.processes import ProcessIdentity, identify
from bluegreen.traffic import own_nginx
from bluegreen.traffic.build import installed_build
from bluegreen.traffic.nginx import remedy_for
from bluegreen.traffic.own_nginx import OwnNginx
from bluegreen.traffic.rendering import pid_file
from tests.traffic.conftest import World


def an_ended_process() -> psutil.Process:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        return psutil.Process(process.pid)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """One that leads its session and calls itself a worker of nginx."""
    command = ["nginx: worker process", "1000"]
    with subprocess.Popen(command, executable="sleep", start_new_session=True) as running:
        yield running
        running.kill()


def test_a_port_that_is_only_roots_is_told_by_which_others_there_are() -> None:
    said = "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)"
    assert 'listen = ["8080"]' in remedy_for(said, "else")
    assert remedy_for(said.replace("13: Permission denied", "98: Address in use"), "else") == "else"


async def test_a_master_that_ends_as_it_is_told_to_reload_is_said_not_to_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = an_ended_process()
    nginx = OwnNginx(await installed_build(), world.layout)
    monkeypatch.setattr(nginx, "master", lambda: master)
    with pytest.raises(TrafficError, match="nginx does not run"):
        await nginx.reload()


async def test_a_master_that_ends_as_it_is_to_be_stopped_has_ended(
    world: World, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    master = psutil.Process(process.pid)

    def identify_the_last_time(pid: int) -> ProcessIdentity | None:
        identity = identify(pid)
        process.kill()
        process.wait()
        return identity

    nginx = OwnNginx(await installed_build(), world.layout)
    monkeypatch.setattr(nginx, "master", lambda: master)
    monkeypatch.setattr(own_nginx, "identify", identify_the_last_time)
    await nginx.stop()
    assert not master.is_running()


async def test_an_orphan_that_ends_as_it_is_looked_at_is_none(
    world: World, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    session_of, ended = os.getsid, list[int]()

    def session_at_the_end(pid: int) -> int:
        session = session_of(pid)
        if pid == process.pid:
            process.kill()
            ended.append(process.wait())
        return session

    world.layout.nginx.mkdir(parents=True)
    pid_file(world.layout).write_text(f"{process.pid}\n")
    nginx = OwnNginx(await installed_build(), world.layout)
    monkeypatch.setattr(os, "getsid", session_at_the_end)
    await nginx.check_ports([])
    assert ended
