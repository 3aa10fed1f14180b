"""Questions that are asked over and over, each in a task of its own, while somebody listens."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import Any, Self


class Repeated(ABC):
    """Asks while it is entered; leaving it ends all that is under way.

    What goes wrong with one comes out of the exit, or of whoever looks before that.
    """

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    @abstractmethod
    def _questions(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """The name of each, and what asks it without an end."""

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(work, name=name) for name, work in self._questions()]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if error is None:
            self._raise_failure()

    def _raise_failure(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and (failure := task.exception()) is not None:
                raise failure
