"""A flood of deliveries beside deploys: what is deployed, switched and visited does not mind."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter

from tests.visits import visit
from tests.waiting import end_tasks
from tests.webhooks.deliveries import signed
from tests.webhooks.hooked import Hooked, hooked

RATE = 500  # deliveries a second …
LASTS = 20.0  # … for so many seconds; `tests/bench/flood.py` measures what comes of it
TICK = 0.05  # seconds
MOST_AT_ONCE = 100  # that are not answered yet


async def flood(served: Hooked, statuses: Counter[int]) -> None:
    """Deliveries at that rate until cancelled: half ignored, half signed by nobody."""
    room = asyncio.Semaphore(MOST_AT_ONCE)

    async def one(number: int) -> None:
        name = secrets.token_hex(8)
        body = json.dumps({"ref": f"refs/heads/{name}", "after": "a" * 40}).encode()
        headers = signed("github", "push", body, name=name)
        if number % 2:
            headers["x-hub-signature-256"] = f"sha256={name * 4}"
        try:
            status, _ = await served.post(body, headers)
            statuses[status] += 1
        finally:
            room.release()

    async with asyncio.TaskGroup() as sending:
        while True:
            for number in range(int(RATE * TICK)):
                await room.acquire()
                sending.create_task(one(number))
            await asyncio.sleep(TICK)


async def visits(served: Hooked, statuses: Counter[int]) -> None:
    """One after the other, until cancelled."""
    while True:
        status, _ = await visit(served.stack)
        statuses[status] += 1


async def test_deploys_and_switches_back_do_not_mind_a_flood_of_deliveries() -> None:
    statuses: Counter[int] = Counter()
    visited: Counter[int] = Counter()
    rounds = 0
    async with hooked() as served:
        await served.stack.deploy("v1")
        beside = [
            asyncio.create_task(flood(served, statuses)),
            asyncio.create_task(visits(served, visited)),
        ]
        until = asyncio.get_running_loop().time() + LASTS
        try:
            while not rounds or asyncio.get_running_loop().time() < until:
                await served.stack.deploy("v2")
                back = await served.stack.cli("switch", "back")
                assert back.status == 0, back.out + back.err
                rounds += 1
        finally:
            await end_tasks(beside)
        kinds = [one["kind"] for one in await served.operations()]
        assert kinds == ["switch", "deploy"] * rounds + ["deploy"]
        refused = (await served.get("/webhooks"))["refused"]
        body = json.dumps({"ref": "refs/tags/v404", "after": "a" * 40}).encode()
        assert (await served.deliver("github", "push", body, "after the flood"))[0] == 202
    assert statuses.keys() == {200, 401}
    assert refused >= statuses[401] > 100
    assert visited.keys() == {200}
