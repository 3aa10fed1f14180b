"""What began on the old slot goes on there, and is waited for before that slot is stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bluegreen.errors import RefusedError
from bluegreen.health.sockets import clients_of
from bluegreen.model import Address, Release, Share, Slot, Traffic
from bluegreen.operations.phases import start
from tests.operations.asking import ask, history_of, status_of
from tests.operations.killing import APP
from tests.operations.queued import QueuedDesk
from tests.stack import Stack
from tests.visits import visit
from tests.waiting import PATIENCE, eventually
from tests.watching.shop import (
    SHOP,
    begun,
    in_phase,
    outcome,
    released,
    told,
    write_release,
    write_shop,
)

RATE = 200_000  # bytes a second
DOWNLOAD = 10  # seconds
LONG_WATCH = '[watch]\nfor = "5m"\n'
TIME = aiohttp.ClientTimeout(total=PATIENCE)


def write_app(stack: Stack, drain: str, hot: str = "1h") -> None:
    keep = f'[keep]\nhot = "{hot}"\ndrain_timeout = "{drain}"\n'
    stack.write_app(services=("web", "terminal"), watch="0.1s", healthy_for="0.1s", extra=keep)


@pytest.fixture
async def served(empty: Stack) -> Stack:
    write_app(empty, "10m")
    await empty.serve()
    await empty.deploy("v1")
    return empty


@contextlib.asynccontextmanager
async def talking(stack: Stack) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession(timeout=TIME) as session,
        session.ws_connect(stack.url() + "/ws/terminal") as socket,
    ):
        await echoes(socket)
        yield socket


async def echoes(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_str("still there?")
    assert await socket.receive_str(timeout=PATIENCE) == "still there?"


async def download(stack: Stack, seconds: int, began: asyncio.Event) -> int:
    """How many bytes arrived."""
    target = f"{stack.url()}/download?size={seconds * RATE}&rate={RATE}"
    async with aiohttp.ClientSession(timeout=TIME) as session, session.get(target) as answer:
        assert answer.status == 200
        received = 0
        async for part in answer.content.iter_any():
            began.set()
            received += len(part)
    return received


async def is_open(stack: Stack, slot: str, count: int) -> None:
    """Wait until ``status`` says that so many connections are open to the slot."""

    async def seen() -> bool:
        return bool((await stack.status())["slots"][slot]["connections"] == count)

    await eventually(seen, f"{count} connections to {slot}")


async def waits_for(stack: Stack, what: str) -> None:
    async def waits() -> bool:
        operation = (await status_of(stack))["operation"]
        waits_for = operation and operation["waiting_for"]
        return waits_for is not None and waits_for.startswith(what)

    await eventually(waits, f"it waits for {what}")


async def pids(stack: Stack, slot: str) -> list[Any]:
    services = (await status_of(stack))["slots"][slot]["services"]
    return [each["pid"] for each in services.values()]


async def test_a_release_waits_for_what_began_on_the_slot_that_it_takes(served: Stack) -> None:
    async with talking(served) as socket:
        await served.deploy("v2")
        # What is in use counts: nothing that nginx keeps for the next request, and no probe.
        await is_open(served, "blue", 1)
        assert "1 connection open" in (await served.cli("status")).out
        before = await pids(served, "blue")

        # Nothing of the slot is touched while it waits: the way back is instant.
        deploying = asyncio.create_task(served.cli("deploy", "monitor", "v1"))
        await waits_for(served, "1 connection to blue to end, for ")
        assert (await status_of(served))["switch_back"]["how"] == "instant"
        await switch_back(served, "blue")
        assert (await deploying).status == 1
        await echoes(socket)

        began = asyncio.Event()
        loading = asyncio.create_task(download(served, DOWNLOAD, began))
        await asyncio.wait_for(began.wait(), PATIENCE)
        await switch_back(served, "green")
        status, begun = await ask(served, "POST", f"{APP}/deployments", {"version": "v1"})
        assert status == 202, begun
        await waits_for(served, "2 connections to blue")
        status, ended = await ask(served, "POST", f"{APP}/cancel", {})
        assert (status, ended["state"]) == (200, "cancelled"), ended
        assert await pids(served, "blue") == before
        await echoes(socket)
        deploying = asyncio.create_task(served.cli("deploy", "monitor", "v1"))
        await waits_for(served, "")
        await echoes(socket)
    assert await asyncio.wait_for(loading, PATIENCE) == DOWNLOAD * RATE
    done = await deploying
    assert done.status == 0, done.out + done.err
    assert "nothing is under way any more" in done.out
    assert served.marker() == "blue"
    # What blue held before is gone from the disk, as is what the two that were ended had built.
    held = {each["version"] for each in (await status_of(served))["slots"].values()}
    trees = [each for each in served.layout.app("monitor").trees.iterdir() if each.is_dir()]
    assert (held, len(trees)) == ({"v1", "v2"}, 2), trees


async def switch_back(stack: Stack, to: str) -> None:
    status, answer = await ask(stack, "POST", f"{APP}/switch", {"to": "back"})
    assert (status, answer["to"]) == (200, to), answer


async def test_what_began_on_a_release_that_is_taken_back_ends_there(empty: Stack) -> None:
    """Its service just ends when it is told to, whatever it has begun."""
    write_shop(empty, '[watch]\nfor = "0.1s"\n')
    write_release(empty, "good")
    for version, delay in (("slow", 8.0), ("stuck", 1000.0)):
        write_release(empty, version, delay=delay, ill=str(empty.root / f"{version}-is-ill"))
    await empty.serve()
    assert (await released(empty, "good"))["state"] == "succeeded"
    write_shop(empty, LONG_WATCH)
    await empty.reload()
    assert await taken_back(empty, "slow") == [(200, "slow")] * 3
    write_shop(empty, LONG_WATCH + '[keep]\ndrain_timeout = "2s"\n')
    await empty.reload()
    assert await taken_back(empty, "stuck") == [(502, "")] * 3
    lines = [
        each["message"] for each in told(empty, (await history_of(empty, SHOP))[0]["id"], "output")
    ]
    assert "3 connections to green still open after 2 s (drain_timeout): cut" in lines, lines


async def taken_back(stack: Stack, version: str) -> list[tuple[int, str]]:
    """What three visitors are answered who met a release that then falls ill."""
    operation = (await begun(stack, version))["id"]
    await in_phase(stack, "watch")
    async with aiohttp.ClientSession(timeout=TIME) as session:
        visitors = [asyncio.create_task(visited(stack, session)) for _ in range(3)]
        green = Address(port=stack.ports[SHOP][1])
        await eventually(lambda: len(clients_of([green])) == 3, "all have begun")
        (stack.root / f"{version}-is-ill").touch()
        answers = await asyncio.gather(*visitors)
    assert (await outcome(stack, operation))["state"] == "rolled_back"
    return answers


async def visited(stack: Stack, session: aiohttp.ClientSession) -> tuple[int, str]:
    async with session.get(f"http://127.0.0.1:{stack.listen[SHOP]}/") as answer:
        return answer.status, (await answer.json())["version"] if answer.status == 200 else ""


async def test_what_never_ends_is_cut_after_the_time_and_told(served: Stack) -> None:
    async with talking(served) as socket:
        await served.deploy("v2")
        write_app(served, "4s")
        await served.reload()
        done = await served.deploy("v1")
        assert "waiting for 1 connection to blue to end" in done.out
        assert "1 connection to blue still open after 4 s (drain_timeout): cut" in done.out
        assert (await socket.receive(timeout=PATIENCE)).type is not aiohttp.WSMsgType.TEXT
    newest, *_ = await history_of(served)
    _, document = await ask(served, "GET", f"/v1/operations/{newest['id']}")
    (start,) = [
        each for each in document["phases"] if (each["phase"], each["state"]) == ("start", "done")
    ]
    assert start["data"]["cut"] == 1

    # Out of service: nobody new is let in, and whoever is in may finish.
    write_app(served, "10m")
    await served.reload()
    async with talking(served) as socket:
        stopping = asyncio.create_task(served.cli("stop", "monitor"))
        await waits_for(served, "1 connection to blue to end, for ")
        assert (await visit(served, "/"))[0] == 503
        await echoes(socket)
    stopped = await stopping
    assert stopped.status == 0, stopped.out + stopped.err


async def test_a_slot_whose_hot_time_is_over_is_drained_before_it_is_stopped(empty: Stack) -> None:
    write_app(empty, "10m", hot="0.5s")
    await empty.serve()
    await empty.deploy("v1")

    async def state() -> Any:
        return (await status_of(empty))["slots"]["blue"]["state"]

    async def cold() -> bool:
        return bool(await state() == "cold")

    async with talking(empty) as socket:
        await empty.deploy("v2")
        await is_open(empty, "blue", 1)
        waits = "blue was kept hot for its time, and waits for 1 connection to blue to end"
        await eventually(lambda: waits in empty.daemon_log.read_text(), waits)
        assert await state() == "hot"
        async with talking(empty):  # so that green is not stopped either, however long it takes
            await switch_back(empty, "blue")  # as instant as before
            await switch_back(empty, "green")
        await eventually(lambda: empty.daemon_log.read_text().count(waits) == 2, f"{waits}, again")
        await echoes(socket)
    await eventually(cold, "blue is stopped, as nobody is there any more")

    write_app(empty, "1s", hot="0.5s")
    await empty.reload()
    async with talking(empty) as socket:
        await empty.deploy("v1")
        assert (await socket.receive(timeout=PATIENCE)).type is not aiohttp.WSMsgType.TEXT
    told = "green was kept hot for its time; 1 connection to green still open after 1 s"
    await eventually(lambda: told in empty.daemon_log.read_text(), told)


async def test_clients_who_were_left_on_the_slot_come_back_before_it_is_waited_for(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    async def end_share() -> tuple[str, ...]:
        done.append("back")
        return ("nginx does not say so",)

    async def note(kind: str, **data: object) -> None:
        done.append(f"{kind}: {data['message']}")

    async def let_end_for(*_: object) -> None:
        done.append("waited for")
        raise RefusedError("enough", remedy="see what is done")

    monkeypatch.setattr(queued.app, "end_share", end_share)
    monkeypatch.setattr(start, "let_end_for", let_end_for)
    share = Share(slot=Slot.GREEN, percent=10)
    queued.traffic.now = Traffic(active=Slot.BLUE, closed=False, share=share)
    await queued.trigger("v2")
    await queued.builds("v2")
    run = queued.desk.running("a")
    assert run is not None
    run.release = Release(app="a", version="v2", commit=None, origin="test")
    monkeypatch.setattr(run, "note", note)
    with pytest.raises(RefusedError, match="enough"):
        await start.Start().act(run)
    assert done == ["back", "warning: nginx does not say so", "waited for"]
    await queued.settled()
