"""What nginx tells of a release is over with it, however that ends."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.operations.run import Run
from bluegreen.operations.watched import told
from bluegreen.watching.recording import Recording
from bluegreen.watching.service import Watching
from tests.waiting import eventually


class _Watching:
    """Whose end takes as long as a test wants it to."""

    def __init__(self) -> None:
        self.ending, self.go_on = asyncio.Event(), asyncio.Event()
        self.ended = False

    async def begin(self, settings: AppSettings) -> Recording:
        return Recording(app=settings.name, window=1.0, began=0.0)

    async def end(self, recording: Recording) -> None:
        self.ending.set()
        await self.go_on.wait()
        self.ended = True


async def test_one_that_is_cancelled_twice_is_not_told_of_any_more(run: Run) -> None:
    watching, begun = _Watching(), asyncio.Event()

    async def perform() -> Any:
        async with told(run, cast("Watching", watching)):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(perform(), name="an operation")
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)  # in which it comes to wait for whoever tells on
    task.cancel()
    await eventually(lambda: watching.ending.is_set() or task.done(), "its end is begun")
    task.cancel()
    watching.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watching.ended
