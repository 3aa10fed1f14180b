"""Who hands on lets those pass that are taken up, and not for ever."""

from __future__ import annotations

import asyncio

import pytest

from bluegreen.webhooks import precedence
from bluegreen.webhooks.precedence import Precedence


async def test_handing_on_waits_until_none_is_being_taken_up() -> None:
    between = Precedence()
    await between.give_way()
    with between:
        waits = asyncio.create_task(between.give_way())
        with between:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waits.done()
    await waits


async def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "GIVE_WAY", 0.01)
    between = Precedence()
    with between:
        await between.give_way()
