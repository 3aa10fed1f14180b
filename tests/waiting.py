"""Waiting for a condition, with a bound: what the tests have in place of fixed sleeps."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

PATIENCE = 60.0  # seconds that anything may take before a test fails
POLL = 0.005  # seconds between two looks, at least
REST = 0.05  # seconds that are no long wait


async def eventually(
    condition: Callable[[], Awaitable[Any]] | Callable[[], Any],
    what: str,
    *,
    within: float = PATIENCE,
) -> Any:
    """Wait until ``condition``, awaited where that is due, gives something true; return that.

    Between two looks there is as much time as a look takes, and thrice that as long as it is
    short: one that asks a daemon, or starts a process, slows down what it waits for.

    AssertionError says ``what`` did not come true ``within`` so many seconds.
    """
    try:
        async with asyncio.timeout(within) as clock:
            while True:
                began = time.monotonic()
                result = condition()
                if inspect.isawaitable(result):
                    result = await result
                if result:
                    return result
                took = time.monotonic() - began
                await asyncio.sleep(max(POLL, took, min(3 * took, REST)))
    except TimeoutError as error:
        if not clock.expired():
            raise
        raise AssertionError(f"did not come true within {within:g} s: {what}") from error


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel those that would go on, and wait for them; raises what one has failed with."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    for ended in await asyncio.gather(*ending, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
