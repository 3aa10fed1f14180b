"""Publishing to an nginx of our own, with all that can go wrong with it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

import psutil
import pytest

from bluegreen.errors import TrafficError
from bluegreen.model import Slot, Traffic
from bluegreen.traffic.control import TrafficControl
from bluegreen.traffic.rendering import HEADER, error_log, pid_file
from tests.traffic.backends import Backend
from tests.traffic.client import Load, ask
from tests.traffic.conftest import World
from tests.waiting import eventually


def files(world: World) -> dict[str, str]:
    """The files that nginx reads of ours."""
    return {
        str(path.relative_to(world.layout.nginx)): path.read_text()
        for path in sorted(world.layout.nginx.rglob("*.conf"))
    }


async def ended(process: psutil.Process) -> None:
    await eventually(
        lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE,
        f"process {process.pid} has ended",
    )


async def remembered(world: World) -> None:
    """Wait until the file that repeats the marker has followed it to blue."""
    await eventually(
        lambda: "# active: blue" in files(world)["slots/shop.conf"], "the switch is remembered"
    )


async def test_nginx_s_words_are_quoted_and_the_files_put_back_when_another_file_is_broken(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    await remembered(world)
    before = files(world)
    foreign = world.layout.nginx / "sites" / "zz-another.conf"
    foreign.write_text("server { lisstenn 80; }\n")
    with pytest.raises(TrafficError, match="does not accept") as caught:
        await world.control.publish([world.settings(max_body="1MiB"), world.settings("other")])
    assert any("lisstenn" in line and str(foreign) in line for line in caught.value.detail)
    assert files(world) == before | {"sites/zz-another.conf": foreign.read_text()}
    assert (await ask(world.site)).body == "blue 0"
    # The traffic can still be moved, and later everything can be published again.
    await world.control.switch(settings, Slot.GREEN)
    assert (await ask(world.site)).body == "green 0"
    foreign.unlink()
    await world.control.publish([world.settings(max_body="1MiB")])
    assert (await ask(world.site, method="POST", body=b"x" * 2**20 + b"x")).status == 413


async def test_what_nginx_only_warns_of_is_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    settings = world.settings(server_name=["shop.test"])
    await world.control.open([settings])
    assert "nginx warns" not in caplog.text
    world.administrator_writes(
        f"server {{ listen 127.0.0.1:{world.site}; server_name shop.test; }}"
    )
    await world.control.publish([settings, world.settings("other", server_name=["other.test"])])
    conflict = f'nginx warns: conflicting server name "shop.test" on 127.0.0.1:{world.site}'
    assert f"{conflict}, ignored; two sites have that name there" in caplog.text


async def test_a_switch_by_reload_that_nginx_refuses_moves_nothing(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings(switch="reload")
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    before = files(world)
    broken = world.administrator_writes("serverr { }")
    with pytest.raises(TrafficError) as caught:
        await world.control.switch(settings, Slot.GREEN)
    assert any("serverr" in line for line in caught.value.detail)
    assert world.markers == {"blue"}
    assert files(world) == before
    assert (await ask(world.site)).body == "blue 0"
    broken.unlink()
    await world.control.switch(settings, Slot.GREEN)
    assert (await ask(world.site)).body == "green 0"


async def test_a_reload_that_is_not_taken_up_is_undone(
    world: World, slots: dict[str, Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.settings(switch="reload")
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    before = files(world)
    monkeypatch.setattr("bluegreen.traffic.loading.LOAD_TIMEOUT", 0.2)
    master = psutil.Process(world.master())
    master.suspend()
    try:
        with pytest.raises(TrafficError, match="did not take up"):
            await world.control.switch(settings, Slot.GREEN)
    finally:
        master.resume()
    assert world.markers == {"blue"}
    assert files(world) == before
    monkeypatch.undo()
    await world.control.agree(settings)
    assert (await ask(world.site)).body == "blue 0"


async def test_an_address_of_another_host_is_told_by_app_file_and_key(world: World) -> None:
    listen = f"192.0.2.7:{world.site}"
    with pytest.raises(TrafficError) as caught:
        await world.control.open([world.settings(listen=[listen])])
    assert f"shop: nginx cannot listen on {listen}" in caught.value.message
    assert f"listen under [nginx] in {world.layout.app_files}/shop.toml" in caught.value.remedy


async def test_a_port_that_a_stranger_holds_is_named(world: World) -> None:
    with socket.create_server(("127.0.0.1", world.site)), pytest.raises(TrafficError) as caught:
        await world.control.open([world.settings()])
    assert f"127.0.0.1:{world.site} is held by" in str(caught.value)
    assert f"pid {os.getpid()}" in str(caught.value)
    assert not (world.layout.nginx / "sites/shop.conf").exists()


async def test_a_new_port_that_a_stranger_holds_leaves_the_site_as_it_was(
    world: World, slots: dict[str, Backend], free_ports: object
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    await remembered(world)
    before = files(world)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        listen = [f"127.0.0.1:{world.site}", f"127.0.0.1:{port}"]
        with pytest.raises(TrafficError, match=f":{port} is held by"):
            await world.control.publish([world.settings(listen=listen)])
    assert files(world) == before
    assert (await ask(world.site)).body == "blue 0"


async def test_nginx_s_own_refusal_of_a_reload_is_quoted_from_its_log(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        # The administrator's own server: only nginx itself finds out.
        mine = world.administrator_writes(f"server {{ listen 127.0.0.1:{port}; }}")
        with pytest.raises(TrafficError, match="refused the new configuration") as caught:
            await world.control.publish([settings])
        mine.unlink()
    assert any(f":{port} failed" in line for line in caught.value.detail)
    assert (await ask(world.site)).body == "blue 0"


async def test_a_file_in_the_way_that_bluegreen_did_not_write_is_left_alone(world: World) -> None:
    sites = world.layout.nginx / "sites"
    sites.mkdir(parents=True)
    (sites / "shop.conf").write_text("# mine\n")
    with pytest.raises(TrafficError, match="did not write it"):
        await world.control.open([world.settings()])
    assert (sites / "shop.conf").read_text() == "# mine\n"
    assert [path.name for path in sites.iterdir()] == ["shop.conf"]


async def test_files_of_apps_that_are_gone_are_removed_and_others_stay(world: World) -> None:
    await world.control.open([world.settings("shop"), world.settings("old", mode="snippet")])
    assert {"sites/old.http.conf", "snippets/old.server.conf", "slots/old.conf"} < set(files(world))
    (world.layout.nginx / "sites/mine.conf").write_text("# mine\n")
    await world.control.publish([world.settings("shop")])
    assert set(files(world)) == {
        "nginx.conf", "sites/00-bluegreen.conf", "sites/mine.conf", "sites/shop.conf",
        "slots/shop.conf",
    }  # fmt: skip
    ours = {name: text for name, text in files(world).items() if name != "sites/mine.conf"}
    assert all(text.startswith(HEADER) for text in ours.values())


async def test_a_reload_has_taken_effect_when_publish_returns(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    for size in (1, 2, 3):
        await world.control.publish([world.settings(max_body=f"{size}KiB")])
        bodies = [b"x" * (1024 * size), b"x" * (1024 * size + 1)]
        replies = await asyncio.gather(
            *(ask(world.site, method="POST", body=body) for body in bodies * 10)
        )
        assert [reply.status for reply in replies] == [200, 413] * 10


async def test_a_new_daemon_finds_nginx_again_and_reloads_nothing(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.GREEN)
    await world.control.close(stop_nginx=False)
    processes = {process.pid for process in world.nginx_processes()}
    successor = TrafficControl(world.layout, own_nginx=True)
    await successor.open([settings])
    await successor.agree(settings)
    assert {process.pid for process in world.nginx_processes()} == processes
    assert successor.read("shop") == Traffic(active=Slot.GREEN, closed=False)
    assert (await ask(world.site)).body == "green 0"


async def test_nginx_starts_again_after_it_was_killed(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.GREEN)
    dead = world.nginx_processes()
    world.end_nginx()
    for process in dead:
        await ended(process)
    assert world.layout.nginx_socket.is_socket()  # the stale socket that nginx stumbles over
    await world.control.publish([settings])
    assert (await ask(world.site)).body == "green 0"


async def test_workers_that_outlive_their_master_are_replaced(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    old = psutil.Process(world.master())
    workers = old.children()
    old.kill()
    await ended(old)
    assert (await ask(world.site)).body == "blue 0"  # nobody has noticed
    successor = TrafficControl(world.layout, own_nginx=True)
    await successor.open([world.settings(max_body="1MiB")])
    for worker in workers:
        await ended(worker)
    assert world.master() != old.pid
    assert (await ask(world.site)).body == "blue 0"


async def test_a_pid_file_that_names_another_process_is_not_believed(world: World) -> None:
    pid_file(world.layout).parent.mkdir(parents=True)
    pid_file(world.layout).write_text(f"{os.getpid()}\n")
    settings = world.settings()
    await world.control.open([settings])
    assert world.master() != os.getpid()
    assert (await ask(world.site)).status == 503
    await world.control.close(stop_nginx=True)


async def test_stopping_ends_every_process_and_frees_the_port(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    processes = world.nginx_processes()
    assert len(processes) > 1
    await world.control.close(stop_nginx=True)
    for process in processes:
        await ended(process)
    with socket.create_server(("127.0.0.1", world.site)):
        pass


async def test_stopping_does_not_wait_for_ever_for_a_hung_nginx(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluegreen.traffic.own_nginx.STOP_TIMEOUT", 0.1)
    await world.control.open([world.settings()])
    processes = world.nginx_processes()
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    await world.control.close(stop_nginx=True)
    for process in processes:
        await ended(process)


async def test_an_interrupted_switch_by_reload_is_brought_to_agree(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings(switch="reload")
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    # The daemon was killed right after the commit: nginx still has what it had.
    directory = world.layout.app("shop").traffic
    os.rename(directory / "blue", directory / "green")
    successor = TrafficControl(world.layout, own_nginx=True)
    await successor.open([settings])
    await successor.agree(settings)
    assert successor.read("shop") == Traffic(active=Slot.GREEN, closed=False)
    assert (await ask(world.site)).body == "green 0"


async def test_of_two_markers_the_one_last_switched_to_stays(
    world: World, slots: dict[str, Backend], caplog: pytest.LogCaptureFixture
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.GREEN)
    slot_file = world.layout.nginx / "slots" / "shop.conf"
    await eventually(lambda: "# active: green" in slot_file.read_text(), "the switch is remembered")
    (world.layout.app("shop").traffic / "blue").touch()
    assert world.control.read("shop").active is Slot.GREEN
    assert "shop has two traffic markers; taking green" in caplog.messages
    assert {vars(record)["app"] for record in caplog.records} == {"shop"}
    await world.control.agree(settings)
    assert world.markers == {"green"}
    assert (await ask(world.site)).body == "green 0"


async def test_changing_the_way_to_switch_keeps_the_slot(
    world: World, slots: dict[str, Backend]
) -> None:
    await world.control.open([world.settings()])
    await world.control.switch(world.settings(), Slot.GREEN)
    for switch, mode in (("reload", "site"), ("marker", "site"), ("marker", "snippet")):
        settings = world.settings(switch=switch, mode=mode)
        if mode == "snippet":
            snippet = world.layout.nginx / "snippets/shop.server.conf"
            world.administrator_writes(
                f"server {{ listen 127.0.0.1:{world.site}; include {snippet}; }}"
            )
        await world.control.publish([settings])
        assert (await ask(world.site)).body == "green 0"
        await world.control.switch(settings, Slot.BLUE)
        assert (await ask(world.site)).body == "blue 0"
        await world.control.switch(settings, Slot.GREEN)


async def test_two_apps_switch_on_their_own(world: World, slots: dict[str, Backend]) -> None:
    first = world.settings("a-b", server_name=["one.test"])
    second = world.settings("a--b", server_name=["two.test"])
    await world.control.open([first, second])
    await asyncio.gather(
        world.control.switch(first, Slot.BLUE), world.control.switch(second, Slot.GREEN)
    )
    assert (await ask(world.site, headers={"Host": "one.test"})).body == "blue 0"
    assert (await ask(world.site, headers={"Host": "two.test"})).body == "green 0"


async def test_two_hundred_apps_are_served_and_switch(
    world: World, slots: dict[str, Backend]
) -> None:
    apps = [
        world.settings(f"app-with-a-rather-long-name-number-{n:05}", server_name=[f"h{n}.test"])
        for n in range(200)
    ]
    await world.control.open(apps)
    async with Load(world.site).running(connections=2) as load:
        await world.control.switch(apps[0], Slot.BLUE)
        await world.control.switch(apps[150], Slot.GREEN)
    assert set(load.failures) <= {"status 503"}  # what it asks for is not deployed
    assert (await ask(world.site, headers={"Host": "h0.test"})).body == "blue 0"
    assert (await ask(world.site, headers={"Host": "h150.test"})).body == "green 0"
    assert "[emerg]" not in error_log(world.layout).read_text()
