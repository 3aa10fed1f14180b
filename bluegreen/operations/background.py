"""What is done beside everything else, by tasks that have a name and an end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from bluegreen.processes import tell_if_failed


class Background:
    """``close`` ends what still goes on."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(tell_if_failed)

    async def close(self) -> None:
        going_on = [*self._tasks]
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)
