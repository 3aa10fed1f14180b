"""A flood of deliveries beside a deploy: what is deployed and switched does not mind."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter

from tests.webhooks.deliveries import signed
from tests.webhooks.hooked import Hooked, hooked

RATE = 500  # deliveries a second
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


async def test_a_deploy_and_a_switch_back_do_not_mind_a_flood_of_deliveries() -> None:
    statuses: Counter[int] = Counter()
    async with hooked() as served:
        await served.stack.deploy("v1")
        flooding = asyncio.create_task(flood(served, statuses))
        try:
            await served.stack.deploy("v2")
            back = await served.stack.cli("switch", "back")
        finally:
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
        assert back.status == 0, back.out + back.err
        assert [one["kind"] for one in await served.operations()] == ["switch", "deploy", "deploy"]
        refused = (await served.get("/webhooks"))["refused"]
    assert statuses.keys() == {200, 401}
    assert refused >= statuses[401] > 100
