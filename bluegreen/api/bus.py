"""Wakes who waits for events. What happened is read from the store, so nothing can be missed."""

from __future__ import annotations

import asyncio

from bluegreen.model import Event


class Bus:
    """One asyncio.Event that is replaced at every new event."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def publish(self, _: Event) -> None:
        """Called by the store after each commit."""
        self._next.set()
        self._next = asyncio.Event()

    def listen(self) -> asyncio.Event:
        """Take this before reading the store, and wait on it after: no event falls between."""
        return self._next
