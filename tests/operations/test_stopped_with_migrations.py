"""An app that is out of service, in mode hold: what its data may be when it comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.operations.migrations import applied, schema, section, serve
from tests.stack import Stack, stack
from tests.visits import served_version

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELD = section(rehearse=False).replace('mode = "online"', 'mode = "hold"')


@pytest_asyncio.fixture(loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    """v2 is out of service, with data of its own."""
    async with stack() as built:
        await serve(built, HELD)
        assert (await built.cli("stop", "monitor")).status == 0
        yield built


async def test_an_older_release_does_not_start_on_a_newer_schema(shop: Stack) -> None:
    older = shop.marker()
    before = schema(shop)
    failed = await shop.cli("deploy", "v4-halfway")
    assert failed.status == 1, failed.out
    assert "the data of before are put back, from backup" in failed.out
    assert await applied(shop) == []
    assert schema(shop) | {"schema_migrations": []} == before | {"schema_migrations": []}
    await shop.deploy("v4-rename")
    # As an administrator's hand would do it.
    await shop.kill()
    traffic = shop.layout.app("monitor").traffic
    (traffic / shop.marker()).rename(traffic / older)
    await shop.serve()
    refused = await shop.cli("start", "monitor")
    assert refused.status == 1, refused.out
    assert "cannot live with 0006_rename, which came after it" in refused.err
    assert (await shop.cli("migrations", "rollback", "monitor")).status == 0
    assert (await shop.cli("start", "monitor")).status == 0
    assert await served_version(shop) == "v2"
    assert await applied(shop) == []
    assert "host" not in schema(shop)["servers"]
