"""The way back to a version that has stopped for the other one, and what is in its way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bluegreen.model import Slot
from tests.operations.asking import history_of
from tests.operations.data import OPTIONS
from tests.operations.killing import relapse
from tests.stack import Stack, stack
from tests.visits import served_version
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


def alone(shop: Stack, extra: str = "", **options: Any) -> None:
    """Write an app file that says that two versions never run at once."""
    file = shop.write_app(extra=extra, **OPTIONS | options)
    file.write_text(file.read_text().replace("[app]\n", "[app]\noverlap = false\n"))


@pytest_asyncio.fixture(loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    """v1 serves in blue, v2 has been in green."""
    async with stack() as built:
        alone(built)
        await built.serve()
        for version in ("v2", "v1"):
            await built.deploy(version)
        yield built


async def test_while_requests_are_held_by_hand_a_switch_that_holds_them_itself_is_refused(
    shop: Stack,
) -> None:
    newest = (await history_of(shop))[0]["id"]
    assert (await shop.cli("hold", "monitor", "--timeout", "1m")).status == 0
    refused = await shop.cli("switch", "back")
    assert refused.status == 4, refused.out + refused.err
    assert "let them through first: bluegreen release monitor" in refused.err
    assert (await history_of(shop))[0]["id"] == newest
    assert (await shop.status())["held"]["operation"] is None
    assert (await shop.cli("release", "monitor")).status == 0
    assert (await shop.cli("switch", "back")).status == 0
    assert await served_version(shop) == "v2"


async def test_where_the_version_of_before_does_not_come_up_in_time_the_newer_one_serves_again(
    shop: Stack,
) -> None:
    serving = shop.marker()
    alone(shop, '[hold]\nlimit = "20s"\n', watch="60s")
    await shop.reload()
    tree = shop.layout.app("monitor").slot(Slot(serving)).resolve()
    (tree / "monitor/web.py").write_text("import time\n\ntime.sleep(600)\n")
    answer = await relapse(shop, "v2", service="web")
    assert answer.status == 1, answer.out + answer.err
    assert f"{serving} was not up again within the 13.3 s" in answer.out + answer.err
    assert shop.marker() != serving
    status = await shop.status()
    assert status["held"] is None
    assert status["slots"][serving]["state"] == "cold"
    await eventually(lambda: _answers(shop), "the newer version answers")


async def _answers(shop: Stack) -> bool:
    return bool(await served_version(shop) == "v2")
