"""A slot that dies between releases is left for one that is ready: once, never to and fro."""

from __future__ import annotations

from typing import Any

from tests.stack import stack
from tests.waiting import eventually
from tests.watching.shop import SHOP, released, write_release, write_shop
from tests.watching.visitors import Visitors

FAILOVER = '[watch]\nfor = "0s"\ninterval = "0.1s"\nfailover = true\n'


async def test_a_dying_slot_is_left_once_and_then_it_is_a_persons_turn() -> None:
    async with stack() as built:
        ill = {version: built.root / f"{version} is ill" for version in ("v1", "v2")}
        for version, file in ill.items():
            write_release(built, version, ill=str(file))
        write_shop(built, FAILOVER, healthy_for="0s")
        await built.serve()
        assert (await released(built, "v1"))["state"] == "succeeded"

        async def switches() -> list[Any]:
            found = await built.operations(SHOP)
            return [one["requested_by"] for one in found if one["kind"] == "switch"]

        async def deadline(text: str) -> None:
            write_shop(built, FAILOVER, healthy_for="0s", deadline=text)
            await built.reload()

        await deadline("1s")
        for file in ill.values():
            file.touch()
        async with Visitors(built.listen[SHOP], 100).coming() as load:
            assert (await released(built, "v2"))["state"] == "failed"
            await eventually(lambda: len(load.failed()) > 150, "v1 dies, during the gate and after")
        assert await switches() == []  # as nothing beside it has passed a gate
        assert built.marker(SHOP) == "blue"
        for file in ill.values():
            file.unlink()
        await deadline("30s")
        assert (await released(built, "v2"))["state"] == "succeeded"
        assert built.marker(SHOP) == "green"

        ill["v1"].touch()  # the standby too: nobody is led there
        ill["v2"].touch()

        async def said() -> bool:
            return "is not left" in built.daemon_log.read_text()

        await eventually(said, "the standby was asked, and is ill")
        assert await switches() == []
        await built.kill()
        ill["v1"].unlink()
        await built.serve()
        await eventually(lambda: built.marker(SHOP) == "blue", "the dying slot is left")
        assert await switches() == ["failover via watch"]
        ill["v2"].unlink()
        ill["v1"].touch()
        async with Visitors(built.listen[SHOP], 100).coming() as load:
            await eventually(lambda: len(load.failed()) > 150, "it is looked at more than once")
        assert await switches() == ["failover via watch"]
        assert built.marker(SHOP) == "blue"
