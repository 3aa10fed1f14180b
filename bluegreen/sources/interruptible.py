"""Work in a thread that stops when the task which waits for it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

STOP_WAIT = 10.0  # seconds; a thread stuck in the kernel (a dead NFS server) is let go then

T = TypeVar("T")


class Stop:
    """What work in a thread looks at between its steps."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def check(self) -> None:
        """Raise StoppedError once nobody waits for the work any more."""
        if self._event.is_set():
            raise StoppedError


class StoppedError(Exception):
    """The work was given up in the middle."""


async def in_thread(work: Callable[[Stop], T], *, name: str) -> T:
    """Run ``work`` in a thread. Cancelled, it returns only after the work has stopped."""
    stop = Stop()
    task = asyncio.create_task(asyncio.to_thread(work, stop), name=name)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        deadline = asyncio.get_running_loop().time() + STOP_WAIT
        while not task.done() and asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(asyncio.CancelledError):  # raised below, once
                await asyncio.wait({task}, timeout=0.1)
        if task.done() and not task.cancelled():
            task.exception()  # seen; the cancellation is what counts
        raise
