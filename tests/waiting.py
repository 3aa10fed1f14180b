"""Waiting for a condition, with a bound: what the tests have in place of fixed sleeps."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

PATIENCE = 60.0  # seconds that anything may take before a test fails
POLL = 0.005  # seconds between two looks, at least


async def eventually(
    condition: Callable[[], Awaitable[Any]] | Callable[[], Any],
    what: str,
    *,
    within: float = PATIENCE,
) -> Any:
    """Wait until ``condition``, awaited where that is due, gives something true; return that.

    Between two looks there is as much time as a look takes: one that starts a process would slow
    down what it waits for.

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
                await asyncio.sleep(max(POLL, time.monotonic() - began))
    except TimeoutError as error:
        if not clock.expired():
            raise
        raise AssertionError(f"did not come true within {within:g} s: {what}") from error
