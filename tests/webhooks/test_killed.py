"""A daemon that is killed with deliveries in its hands: none is lost, and none done twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections import Counter
from typing import Any

import aiohttp

from tests.operations.standstill import failing, held
from tests.waiting import eventually
from tests.webhooks.deliveries import signed
from tests.webhooks.hooked import Hooked, connected, hooked

WRITES = "pwrite64"


def pushed(tag: str) -> bytes:
    return json.dumps({"ref": f"refs/tags/{tag}", "after": "a" * 40}).encode()


async def deliver_in_vain(served: Hooked, tag: str) -> None:
    with contextlib.suppress(aiohttp.ClientError):  # the daemon dies before it answers
        await served.deliver("github", "push", pushed(tag), tag)


async def settled(served: Hooked) -> list[Any]:
    """The deliveries, once each is handed on."""

    async def found() -> list[Any]:
        deliveries = await served.deliveries()
        return [] if any(one["decision"] == "accepted" for one in deliveries) else deliveries

    deliveries: list[Any] = await eventually(found, "every delivery is handed on")
    return deliveries


async def done(served: Hooked) -> Counter[str]:
    """How often each version was deployed: what the kill has interrupted is begun again."""
    found = await served.operations()
    return Counter(one["version"] for one in found if one["state"] != "interrupted")


async def test_killed_after_any_commit_a_delivery_is_done_once() -> None:
    """The first is that of the delivery itself: from then on it is never lost."""
    async with hooked() as served:
        tags = [f"v40{commits}" for commits in range(1, 4)]
        for commits, tag in enumerate(tags, start=1):
            async with held(served.stack) as standstill:
                delivering = asyncio.create_task(deliver_in_vain(served, tag))
                seen = 0
                while seen < commits:
                    steps = await standstill.next()
                    seen += sum(step.call == "fdatasync" for step in steps)
                    if seen < commits:
                        standstill.go_on()
                await served.stack.kill()
            await delivering
            await served.stack.serve()
            async with connected(served.stack) as again:
                [delivery] = [one for one in await settled(again) if one["delivery"] == tag]
                assert delivery["decision"] == "triggered", (commits, delivery)
                await eventually(again.is_idle, "all has ended")
                assert (await done(again))[tag] == 1, (commits, await again.operations())
                status, answer = await again.deliver("github", "push", pushed(tag), tag)
                assert (status, answer["repeated"]) == (202, True)


async def test_killed_with_ten_in_its_hands_each_that_was_answered_is_done_once() -> None:
    async with hooked('[queue]\npolicy = "serial"\n') as served:
        names = [f"v50{number}" for number in range(10)]
        answered: list[str] = []

        async def deliver(name: str) -> None:
            with contextlib.suppress(aiohttp.ClientError):
                status, _ = await served.deliver("github", "push", pushed(name), name)
                assert status == 202
                answered.append(name)

        delivering = [asyncio.create_task(deliver(name)) for name in names]
        await eventually(lambda: len(answered) >= 1, "one is answered")
        await served.stack.kill()
        await asyncio.gather(*delivering)
        await served.stack.serve()
        async with connected(served.stack) as again:
            known = {one["delivery"]: one for one in await settled(again)}
            assert set(answered) <= set(known)
            for name in names:  # those that were not answered come again, as senders do
                status, _ = await again.deliver("github", "push", pushed(name), name)
                assert status == 202, name
            await settled(again)
            await eventually(again.is_idle, "all has ended")
            assert await done(again) == Counter(names), await again.operations()


async def test_with_a_full_disk_nothing_is_taken_and_the_sender_is_told_to_come_again() -> None:
    async with hooked() as served:
        wal = served.stack.layout.database.with_name("bluegreen.db-wal")
        async with failing(served.stack, WRITES, "ENOSPC", wal):
            body = pushed("v601")
            async with served.session.post(
                "/hooks/monitor", data=body, headers=_signed(body)
            ) as response:
                assert response.status == 507, await response.text()
                assert int(response.headers["Retry-After"]) > 0
        assert await served.deliveries() == []
        assert await served.operations() == []
        status, answer = await served.post(pushed("v601"), _signed(pushed("v601")))
        assert (status, answer["repeated"]) == (202, False)
        database = served.stack.layout.database
        with contextlib.closing(sqlite3.connect(database)) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM deliveries")
        assert count == 1


def _signed(body: bytes) -> dict[str, str]:
    return signed("github", "push", body, name="full")
