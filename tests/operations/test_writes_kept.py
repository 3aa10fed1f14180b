"""Visitors who write during releases of each mode: what was acknowledged is there, and once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bluegreen.model import Slot
from tests.operations.data import shared
from tests.operations.migrations import BACKUP, applied, rewrite, section, serve
from tests.operations.writers import writing
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONLINE = section(rehearse=False)
NONE = f'{BACKUP}\n[migrations]\nmode = "none"\n'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    async with stack() as built:
        await serve(built, ONLINE)
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def impatient(shop: Stack) -> AsyncIterator[Stack]:
    """What never gets healthy is given up soon."""
    await rewrite(shop, ONLINE, deadline="3s")
    yield shop
    await rewrite(shop, ONLINE)


@pytest.mark.parametrize("version", ["v4-halfway", "v4-fatal", "v4-silent", "v4-unhealthy"])
async def test_online_and_refused(impatient: Stack, version: str) -> None:
    shop = impatient
    async with writing(shop) as writers:
        answer = await shop.cli("deploy", version)
        assert answer.status == 1, answer.out + answer.err
        await writers.write_more()
    writers.expect_all_there(shop)
    assert await applied(shop) == []
    assert (await shop.status())["slots"][shop.marker()]["version"] == "v2"


async def test_online_and_back_and_rolled_back(shop: Stack) -> None:
    """And who was logged in stays so, and what an operator has put among the data."""
    settings = shared(shop) / "data/site.conf"
    settings.write_text("key = kept")
    settings.chmod(0o600)
    before = settings.stat().st_ino, settings.stat().st_mode
    async with writing(shop) as writers:
        await shop.deploy("v4-notes")
        await writers.write_more()
        for command in (("switch", "back"), ("switch", "back"), ("rollback", "--to", "v2")):
            answer = await shop.cli(*command)
            assert answer.status == 0, answer.out + answer.err
            await writers.write_more()
            seen = shop.layout.app("monitor").slot(Slot(shop.marker())) / "data/site.conf"
            assert seen.read_text() == "key = kept"
            assert (seen.stat().st_ino, seen.stat().st_mode) == before
    writers.expect_all_there(shop)
    assert await applied(shop) == []


async def test_without_migrations(shop: Stack) -> None:
    await rewrite(shop, NONE)
    async with writing(shop) as writers:
        await shop.deploy("v1")
        await writers.write_more()
        await rewrite(shop, NONE, deadline="3s")
        assert (await shop.cli("deploy", "v3-unhealthy")).status == 1
        await rewrite(shop, NONE)
        assert (await shop.cli("switch", "back")).status == 0
        await writers.write_more()
    writers.expect_all_there(shop)
