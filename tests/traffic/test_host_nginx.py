"""An nginx that others run: tested and reloaded through its own program."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import shlex
from pathlib import Path

import psutil
import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.errors import TrafficError
from bluegreen.model import Slot
from bluegreen.traffic.build import NginxBuild, installed_build
from bluegreen.traffic.control import TrafficControl
from bluegreen.traffic.rendering import pid_file
from tests.traffic.backends import Backend
from tests.traffic.client import ask
from tests.traffic.conftest import World


@pytest.fixture
async def host_nginx(world: World, monkeypatch: pytest.MonkeyPatch) -> NginxBuild:
    """A running nginx with a configuration like a host's, and a program that knows where it is."""
    directory = world.layout.root / "host"
    directory.mkdir()
    host_pid_file = pid_file(world.layout)
    host_pid_file.parent.mkdir(parents=True)
    world.layout.run.mkdir(parents=True)
    real = await installed_build()
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = " ".join(
        f"{name}_temp_path {directory}/{name};"
        for name in ("client_body", "proxy", *real.temporary_modules)
    )
    (directory / "nginx.conf").write_text(
        f"{user} pid {host_pid_file}; error_log {directory}/error.log; events {{ }}\n"
        f"http {{ access_log off; open_file_cache max=100; {temporary}\n"
        f"include {world.layout.nginx}/sites/*.conf; }}\n"
    )
    program = directory / "nginx"
    program.write_text(
        f'#!/bin/sh\nexec {shlex.join([real.binary, "-c", f"{directory}/nginx.conf"])} "$@"\n'
    )
    program.chmod(0o755)
    build = NginxBuild(
        binary=str(program), version=real.version, arguments=f"--pid-path={host_pid_file}"
    )

    async def described() -> NginxBuild:
        return build

    monkeypatch.setattr("bluegreen.traffic.control.installed_build", described)
    world.control = TrafficControl(world.layout, own_nginx=False)
    return build


async def start(build: NginxBuild) -> None:
    process = await asyncio.create_subprocess_exec(build.binary, start_new_session=True)
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_the_host_s_nginx_is_reloaded_and_confirms(
    world: World, slots: dict[str, Backend], host_nginx: NginxBuild
) -> None:
    await start(host_nginx)
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    assert (await ask(world.site)).body == "blue 0"
    # Not from the host's open_file_cache, which would go on saying blue.
    await world.control.switch(settings, Slot.GREEN)
    assert (await ask(world.site)).body == "green 0"
    by_reload = world.settings(switch="reload")
    await world.control.publish([by_reload])
    await world.control.switch(by_reload, Slot.BLUE)
    answers = await asyncio.gather(*(ask(world.site) for _ in range(20)))
    assert {answer.body for answer in answers} == {"blue 0"}
    await world.control.close(stop_nginx=True)
    assert psutil.pid_exists(world.master())  # it is not ours to stop


async def test_a_host_s_nginx_that_does_not_run_is_an_error_with_its_words(
    world: World, host_nginx: NginxBuild
) -> None:
    with pytest.raises(TrafficError, match="not reloaded"):
        await world.control.open([world.settings()])
    assert not (world.layout.nginx / "sites/shop.conf").exists()


async def test_a_host_without_nginx_says_what_to_install(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("bluegreen.traffic.build._SYSTEM_PATHS", "")
    with pytest.raises(TrafficError, match="not installed") as caught:
        await world.control.open([world.settings()])
    assert "apt install" in caught.value.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's nginx has workers of another user")
@pytest.mark.parametrize("user", ["root", "nobody"])
async def test_workers_of_another_user_reach_the_apps_sockets(
    world: World, host_nginx: NginxBuild, user: str
) -> None:
    configuration = world.layout.root / "host" / "nginx.conf"
    group = grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    text = configuration.read_text()
    configuration.write_text(text.replace("user root;", f"user {user} {group};"))
    world.layout.root.chmod(0o755)  # as / is
    world.layout.run.rmdir()  # made by bluegreen, as at its first start
    data = world.settings().model_dump(by_alias=True, exclude_unset=True)
    sockets = {slot: f"{slot}.sock" for slot in ("blue", "green")}
    data["services"] = {"web": {"command": "true", "sockets": sockets}}
    settings = AppSettings.model_validate(data)
    await start(host_nginx)
    await world.control.open([settings])
    socket = world.layout.app("shop").run / "blue.sock"
    async with Backend("blue", socket=socket).serving():
        socket.chmod(0o666)
        await world.control.switch(settings, Slot.BLUE)
        assert (await ask(world.site)).body == "blue 0"
    await world.control.close(stop_nginx=True)
