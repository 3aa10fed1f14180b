"""Clients whom an operation in steps has left on the slot that it led them to: they come back."""

from __future__ import annotations

import logging

from bluegreen.errors import TrafficError
from bluegreen.model import Slot
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.warmth import Warmth

log = logging.getLogger(__name__)


class ForgottenShares:
    """Ends those that no operation is left of, or that it could not end: the disk was full."""

    def __init__(self, warmth: Warmth) -> None:
        self._warmth = warmth
        self._said: dict[str, str] = {}
        self._left: dict[str, Slot] = {}  # where clients of an app were at the last look

    async def end(self, app: AppRuntime) -> None:
        """Have everybody back, if anybody is away; of an app that no operation is to take steps of.

        Where that cannot be it is said, once, and is to be tried again.
        """
        share = app.parts.traffic.read(app.name).share
        if share is None:
            self._said.pop(app.name, None)
            # An operator's switch has led them back meanwhile: nobody else ends what they were on.
            if (slot := self._left.pop(app.name, None)) is not None:
                self._warmth.end_refused(app, slot)
            return
        self._left[app.name] = share.slot
        try:
            async with app.commit:
                warnings = await app.end_share()
        except TrafficError as error:
            await self._say(app, f"{error.message}; {error.remedy}")
            return
        for message in warnings:
            await self._say(app, message)
        log.warning("%s: all clients are back", app.name, extra={"app": app.name})
        await app.parts.note(app.name, None, "share", slot=share.slot, percent=0, until=None)
        del self._left[app.name]
        self._warmth.end_refused(app, share.slot)

    async def _say(self, app: AppRuntime, message: str) -> None:
        if message != self._said.get(app.name):
            self._said[app.name] = message
            log.error("%s: %s", app.name, message, extra={"app": app.name})
            await app.parts.note(app.name, None, "warning", message=message)
