"""``[promote] steps``: clients go over bit by bit, and all of them are back at once."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.api.metrics.page import collect
from tests.bench.trivial import SLOTS
from tests.marks import marker_names
from tests.operations.asking import history_of
from tests.operations.promoted import end_service, ended, post, seen_by, standing
from tests.operations.proxied import HOST, serving, take_up, write_shop
from tests.operations.standstill import RENAMES, failing
from tests.stack import Stack
from tests.traffic.client import Load, ask
from tests.waiting import eventually

STEPS = '\n[promote]\nsteps = [10, 60]\npause = "10m"\n'
QUICK = STEPS.replace("10m", "300ms")


@pytest.fixture
async def shop(empty: Stack) -> Stack:
    """``good`` serves in blue, and ``better`` is about to take over."""
    write_shop(empty, STEPS)
    await empty.serve()
    await empty.deploy("good", "shop")  # nobody is there who could be parted
    return empty


async def whole(stack: Stack, operation: Any) -> Any:
    return (await stack.ask("GET", f"/v1/operations/{operation['id']}"))[1]


async def is_stopped(stack: Stack, slot: str) -> bool:
    services = (await stack.status("shop"))["slots"][slot]["services"]
    return all(one["state"] == "stopped" for one in services.values())


async def client_of(stack: Stack, answer: str) -> dict[str, str]:
    """The cookie of a client that is answered that."""

    async def found() -> dict[str, str] | None:
        reply = await ask(stack.listen["shop"], headers={"Host": HOST})
        cookie = reply.headers["set-cookie"].partition(";")[0]
        return {"Cookie": cookie} if reply.body == answer else None

    client: dict[str, str] = await eventually(found, f"a client is answered {answer}")
    return client


async def test_a_release_takes_over_step_by_step_and_no_request_fails(shop: Stack) -> None:
    await take_up(shop, STEPS, QUICK)
    plan = await shop.cli("plan", "shop", "better")
    assert "  then in steps: 10, 60 % of the clients, each watched for 300 ms" in plan.out
    async with Load(shop.listen["shop"]).running() as load:
        deployed = await shop.cli("deploy", "shop", "better")
        assert deployed.status == 0, deployed.err
        await load.until(20)
    assert load.failures == []
    assert set(load.answers[-8:]) == {"well better"}
    said = [line[9:] for line in deployed.out.splitlines() if " % of the " in line]
    assert said == [f"  {n} % of the clients go to green" for n in (10, 60)]
    operation = await whole(shop, await ended(shop))
    phases = [one["phase"] for one in operation["phases"]]
    assert phases.index("gate") < phases.index("steps") < phases.index("switch")
    assert marker_names(shop.layout.app("shop").traffic) == {"green"}
    assert not (shop.layout.app("shop").traffic / "special").exists()


async def test_steps_go_on_with_the_next_daemon_until_a_person_ends_them(shop: Stack) -> None:
    begun = await post(shop, "deployments", version="better")
    found = await standing(shop, "steps", share=10, slot="green")
    assert found["steps"] == [10, 60]
    status = await shop.cli("status", "shop")
    assert "shop: traffic on blue, 10 % of the clients on green" in status.out
    assert "step 10 % (of 10, 60), for " in status.out
    assert "switch back: instant, all clients to good in blue" in status.out
    connector = aiohttp.UnixConnector(str(shop.layout.control_socket))
    async with aiohttp.ClientSession("http://bluegreen", connector=connector) as session:
        figures = await collect(session)
    ratios = {
        slot: figures.value("bluegreen_slot_clients_ratio", app="shop", slot=slot) for slot in SLOTS
    }
    assert ratios == {"blue": 0.9, "green": 0.1}
    gone, stayed = await client_of(shop, "well better"), await client_of(shop, "well good")
    await shop.kill()
    assert await seen_by(shop, **gone) == "well better"
    path = shop.layout.app_files / "shop.toml"
    path.write_text(path.read_text().replace(STEPS, QUICK.replace("10, 60", "20")))
    await shop.serve()  # it has begun as the file was then
    assert (await standing(shop, "steps", share=10))["steps"] == [10, 60]
    await shop.terminate()
    await shop.serve()
    await standing(shop, "steps", share=10)
    assert await seen_by(shop, **gone) == "well better"
    assert await seen_by(shop, **stayed) == "well good"
    await post(shop, "promote")
    operation = await ended(shop)
    assert (operation["id"], operation["state"]) == (begun["id"], "succeeded")
    assert await seen_by(shop, **stayed) == "well better"


async def test_whatever_ends_it_everybody_is_back(shop: Stack) -> None:
    async def in_steps() -> dict[str, str]:
        await post(shop, "deployments", version="better")
        await standing(shop, "steps", share=10)
        return await client_of(shop, "well better")

    async def is_back(client: dict[str, str], *, kind: str) -> None:
        operation = await ended(shop)
        assert operation["state"] == "rolled_back"
        assert operation["error"]["kind"] == kind
        assert await seen_by(shop, **client) == "well good"
        assert marker_names(shop.layout.app("shop").traffic) == {"blue"}

    async with Load(shop.listen["shop"]).running(4) as load:
        client = await in_steps()
        assert (await shop.cli("cancel", "shop")).status == 0
        await is_back(client, kind="cancel")
        client = await in_steps()
        status, answer = await shop.ask("POST", "/v1/apps/shop/switch", {"to": "back"})
        assert (status, answer["to"], answer["version"]) == (200, "blue", "good")
        assert await seen_by(shop, **client) == "well good"
        await is_back(client, kind="switch_back")
        assert (await history_of(shop, "shop"))[0]["kind"] == "switch"
        client = await in_steps()
        share = shop.layout.app("shop").traffic / "special" / "share"
        async with failing(shop, RENAMES, "EROFS", share):
            await shop.cli("cancel", "shop")
            assert (await ended(shop))["state"] == "cancelled"
            assert await seen_by(shop, **client) == "well better"
            assert (await shop.status("shop"))["slots"]["green"]["state"] == "cold"
        await eventually(lambda: is_stopped(shop, "green"), "all are back, and it is stopped")
        assert await seen_by(shop, **client) == "well good"
        assert load.failures == []
        client = await in_steps()
    end_service(shop, "green")
    await is_back(client, kind="gate")
    client = await in_steps()
    path = shop.layout.app_files / "shop.toml"
    with_steps = path.read_text()
    await shop.kill()
    path.write_text(with_steps.replace(STEPS, ""))  # nginx will tell no clients apart any more
    await shop.serve()
    await is_back(client, kind="interrupted")
    path.write_text(with_steps)
    await shop.reload()
    client = await in_steps()
    await shop.kill()
    end_service(shop, "green")  # as by a reboot: nobody has looked after its clients
    back = await shop.cli("switch", "back", "shop", "--emergency")
    assert back.status == 0, back.err
    assert await seen_by(shop, **client) == "well good"
    await shop.serve()
    await is_back(client, kind="interrupted")
    assert await serving(shop) == "well good"
