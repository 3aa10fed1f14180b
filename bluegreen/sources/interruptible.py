"""Long work on files, in a thread that stops when the task which waits for it is cancelled.

In threads of its own: those of ``asyncio.to_thread`` are few, and probes and supervision need one
at once. A thread that is stuck in the kernel holds up neither other work nor the daemon's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

STOP_WAIT = 10.0  # seconds; a thread stuck in the kernel (a dead NFS server) is let go then
AT_A_TIME = 8  # pieces of work; more would get no more out of a disk
TURN_POLL = 0.1  # seconds between looks of what waits for its turn whether it is still wanted

T = TypeVar("T")

_places = threading.Semaphore(AT_A_TIME)


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


class _Turn:
    """One of the places for work that is under way. It is given back once, by either thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_held = False

    def take(self, stop: Stop) -> None:
        """Wait for it. Raises StoppedError."""
        while not _places.acquire(timeout=TURN_POLL):
            stop.check()
        with self._lock:
            self._is_held = True

    def give_back(self) -> None:
        with self._lock:
            if self._is_held:
                self._is_held = False
                _places.release()


async def in_thread(work: Callable[[Stop], T], *, name: str) -> T:
    """Run ``work`` in a thread, once fewer than `AT_A_TIME` others run.

    Cancelled, it returns only after the work has stopped, or after 10 s.
    """
    stop, turn = Stop(), _Turn()
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from now on only the thread ends it

    def run() -> None:
        try:
            try:
                turn.take(stop)
                stop.check()
                found = work(stop)
            finally:
                turn.give_back()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(found)

    threading.Thread(target=run, name=name, daemon=True).start()
    result = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(result)
    except asyncio.CancelledError:
        stop.set()
        deadline = asyncio.get_running_loop().time() + STOP_WAIT
        while not result.done() and asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(asyncio.CancelledError):  # raised below, once
                await asyncio.wait({result}, timeout=0.1)
        if result.done():
            result.exception()  # seen; the cancellation is what counts
        else:
            turn.give_back()  # a thread that is stuck takes none from the others
            result.cancel()
        raise
