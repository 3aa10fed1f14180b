"""An nginx that others run, with files that others write: all that the daemon moves are markers."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import shlex
from pathlib import Path

import psutil
import pytest

from bluegreen.config.api_section import ApiSection
from bluegreen.config.settings import AppSettings
from bluegreen.errors import TrafficError
from bluegreen.host.places import HostFiles, HostLayout
from bluegreen.host.sites import render_sites
from bluegreen.model import Slot
from bluegreen.traffic.build import NginxBuild, installed_build
from bluegreen.traffic.confirmation import Confirmation
from bluegreen.traffic.control import TrafficControl
from bluegreen.traffic.loading import Loading
from bluegreen.traffic.nginx import HostNginx
from bluegreen.traffic.rendering import pid_file
from tests.traffic.backends import Backend
from tests.traffic.client import ask
from tests.traffic.conftest import World
from tests.waiting import eventually


@pytest.fixture
async def host_nginx(world: World, monkeypatch: pytest.MonkeyPatch) -> NginxBuild:
    """A running nginx with a configuration like a host's, and a program that knows where it is."""
    world.layout = HostLayout(world.layout.root)
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


async def apply(world: World, build: NginxBuild, *apps: AppSettings) -> None:
    """Write nginx's files and have them loaded, as root does it."""
    by_name = {settings.name: settings for settings in apps}
    sites = render_sites(
        by_name, HostLayout(world.layout.root), HostFiles(world.layout.root), build, ApiSection()
    )
    for path, text in sites.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in by_name:
        world.layout.app(name).traffic.mkdir(parents=True, exist_ok=True)
        world.layout.app(name).run.mkdir(parents=True, exist_ok=True)
        world.layout.app(name).nginx_sockets.mkdir(parents=True, exist_ok=True)
    loading = Loading(
        HostNginx(build, world.layout),
        Confirmation(world.layout.nginx_socket, world.layout.remedies),
    )
    await loading.load(sites.generation)


def texts(world: World) -> dict[Path, str]:
    """All that nginx reads."""
    return {path: path.read_text() for path in world.layout.nginx.rglob("*.conf")}


async def start(build: NginxBuild) -> None:
    process = await asyncio.create_subprocess_exec(build.binary, start_new_session=True)
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_the_host_s_nginx_is_reloaded_and_confirms(
    world: World, slots: dict[str, Backend], host_nginx: NginxBuild
) -> None:
    await start(host_nginx)
    settings = world.settings()
    await apply(world, host_nginx, settings)
    files = texts(world)
    await world.control.open([settings])
    assert (await ask(world.site)).status == 503
    await world.control.switch(settings, Slot.BLUE)
    assert (await ask(world.site)).body == "blue 0"
    # Not from the host's open_file_cache, which would go on saying blue.
    await world.control.switch(settings, Slot.GREEN)
    assert (await ask(world.site)).body == "green 0"
    await world.control.set_closed(settings, True)
    assert (await ask(world.site)).status == 503
    await world.control.agree(settings)
    assert texts(world) == files, "nothing that nginx reads was written"
    await world.control.close(stop_nginx=True)
    assert psutil.pid_exists(world.master())  # it is not ours to stop


async def test_a_lost_marker_is_the_one_of_the_slot_last_switched_to(
    world: World, slots: dict[str, Backend], host_nginx: NginxBuild
) -> None:
    await start(host_nginx)
    settings = world.settings()
    await apply(world, host_nginx, settings)
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    await world.control.switch(settings, Slot.GREEN)
    app = world.layout.app("shop")
    await eventually(
        lambda: "# active: green" in app.last_active.read_text(), "the switch is remembered"
    )
    (app.traffic / "green").unlink()
    assert world.control.meddled_with(["shop"]) == ["shop"]
    await world.control.agree(settings)
    assert world.markers == {"green"}
    assert (await ask(world.site)).body == "green 0"


async def test_files_that_root_has_not_written_are_asked_for(
    world: World, slots: dict[str, Backend], host_nginx: NginxBuild
) -> None:
    await start(host_nginx)
    settings = world.settings()
    await apply(world, host_nginx, settings)
    await world.control.open([settings])
    with pytest.raises(TrafficError, match="does not serve what") as caught:
        await world.control.publish([settings, world.settings("other")])
    assert "sudo bluegreen apply" in caught.value.remedy
    await world.control.switch(settings, Slot.BLUE)
    assert (await ask(world.site)).body == "blue 0"


async def test_a_host_s_nginx_that_does_not_run_is_an_error_with_its_words(
    world: World, host_nginx: NginxBuild
) -> None:
    with pytest.raises(TrafficError, match="not reloaded"):
        await apply(world, host_nginx, world.settings())
    with pytest.raises(TrafficError, match="nginx does not answer") as caught:
        await world.control.open([world.settings()])
    assert "systemctl status nginx" in caught.value.remedy


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
    await apply(world, host_nginx, settings)
    await world.control.open([settings])
    socket = world.layout.app("shop").run / "blue.sock"
    async with Backend("blue", socket=socket).serving():
        socket.chmod(0o666)
        await world.control.switch(settings, Slot.BLUE)
        assert (await ask(world.site)).body == "blue 0"
    await world.control.close(stop_nginx=True)
