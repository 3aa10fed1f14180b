"""What a real nginx tells of the requests of an app, and of which."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluegreen.host.places import HostLayout
from bluegreen.model import Slot
from bluegreen.traffic.telling import can_tell, senders
from bluegreen.watching.line import Seen, parse
from bluegreen.watching.receiver import Receiver
from tests.traffic.backends import Backend
from tests.traffic.client import ask
from tests.traffic.conftest import World
from tests.traffic.held import bodies, hold, send, until_waiting
from tests.traffic.test_preview import issue, see
from tests.traffic.test_switch import prepare
from tests.waiting import eventually

WAYS = [("site", "marker"), ("site", "reload"), ("snippet", "marker"), ("upstream", "marker")]


class Ear:
    """All that nginx has told of so far."""

    def __init__(self, world: World) -> None:
        self.receiver = Receiver(world.layout.watch_socket)
        self._seen: list[Seen] = []

    async def heard(self, count: int) -> list[tuple[Slot, int]]:
        """Slots and statuses of the first ``count`` requests, once there were so many; no more."""

        def all_came() -> bool:
            for datagram in self.receiver.take():
                seen = parse(datagram)
                assert seen is not None, datagram
                self._seen.append(seen)
            return len(self._seen) >= count

        await eventually(all_came, f"{count} requests are told of")
        assert {(seen.app, seen.service) for seen in self._seen} == {("shop", "web")}
        return [(seen.slot, seen.status) for seen in self._seen]

    @property
    def last(self) -> Seen:
        return self._seen[-1]


@pytest.fixture
async def ear(world: World) -> AsyncIterator[Ear]:
    ear = Ear(world)
    world.layout.watch_socket.parent.mkdir(parents=True)
    ear.receiver.open(for_all=False)
    ear.receiver.listen(world.control.senders)
    yield ear
    ear.receiver.close()


@pytest.mark.parametrize(("mode", "switch"), WAYS)
async def test_each_request_is_told_of_with_its_slot_while_it_is_asked_for(
    world: World, ear: Ear, mode: str, switch: str
) -> None:
    settings = prepare(world, mode, switch)
    assert can_tell(settings)
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    async with contextlib.AsyncExitStack() as stack:
        await world.control.tell_of_requests("shop", True)
        assert (await ask(world.site)).status == 502
        assert await ear.heard(1) == [(Slot.BLUE, 502)]
        assert ear.last.milliseconds is None  # it reached nobody
        for name, port in world.ports.items():
            await stack.enter_async_context(Backend(name, port).serving())
        assert (await ask(world.site, "/failing?status=503")).status == 503
        expected = [(Slot.BLUE, 502), (Slot.BLUE, 503), (Slot.GREEN, 200)]
        assert await ear.heard(2) == expected[:2]  # of another worker than the next one, perhaps
        await world.control.switch(settings, Slot.GREEN)
        assert (await ask(world.site)).body == "green 0"
        assert await ear.heard(3) == expected
        assert ear.last.milliseconds is not None
        await world.control.tell_of_requests("shop", False)
        assert (await ask(world.site)).status == 200
        await world.control.tell_of_requests("shop", True)
        await ask(world.site, "/failing?status=404")
        assert await ear.heard(4) == [*expected, (Slot.GREEN, 404)]


async def test_one_that_was_held_counts_for_the_slot_that_it_went_to_and_a_preview_for_none(
    world: World, ear: Ear, slots: dict[str, Backend]
) -> None:
    settings = world.settings(preview={"server_name": ["next.test"], "allow": ["127.0.0.1"]})
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    await world.control.tell_of_requests("shop", True)
    assert (await see(world, issue(world).key)).body == "green 0"
    assert (await ask(world.site, headers={"Host": "next.test"})).body == "green 0"
    await hold(world, settings)
    sent = send(world, 3)
    await until_waiting(world, 3)
    await world.control.switch(settings, Slot.GREEN)
    await world.release(settings)
    assert await bodies(sent) == {"green 5"}
    assert await ear.heard(3) == 3 * [(Slot.GREEN, 200)]
    assert ear.last.milliseconds is not None
    assert ear.last.milliseconds < 1000  # the wait was not the app's


async def test_a_server_with_a_log_of_its_own_keeps_it_and_tells_by_a_line_more(
    world: World, ear: Ear, slots: dict[str, Backend]
) -> None:
    log, snippets = world.layout.logs / "mine.log", world.layout.nginx / "snippets"
    world.administrator_writes(
        f"server {{ listen 127.0.0.1:{world.site}; access_log {log};"
        f" include {snippets}/shop.watch.conf; include {snippets}/shop.server.conf; }}"
    )
    settings = world.settings(mode="snippet")
    log.parent.mkdir(parents=True, exist_ok=True)
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    await world.control.tell_of_requests("shop", True)
    assert (await ask(world.site, "/mine")).status == 200
    assert await ear.heard(1) == [(Slot.BLUE, 200)]
    await eventually(lambda: "GET /mine" in log.read_text(), "its own log has it")


def test_a_host_says_in_nginxs_main_file_who_its_workers_are(root: Path) -> None:
    layout = HostLayout(root)
    assert senders(layout, own_nginx=True) == {0, os.geteuid()}
    layout.nginx.mkdir(parents=True)
    main = layout.nginx.parent / "nginx.conf"
    main.write_text("# user root;\nuser daemon;\nworker_processes auto;\n")
    assert senders(layout, own_nginx=False) == {0, pwd.getpwnam("daemon").pw_uid}
    main.write_text("worker_processes auto;\n")
    assert pwd.getpwnam("nobody").pw_uid in senders(layout, own_nginx=False)
