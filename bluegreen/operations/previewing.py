"""Previews that people ask for: issued, revoked, and ended at their time."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from bluegreen.errors import RefusedError
from bluegreen.model import Requester, Slot
from bluegreen.operations.runtime import AppRuntime, end_task
from bluegreen.processes import tell_if_failed
from bluegreen.traffic.disk import disk_error
from bluegreen.traffic.entrance import preview_url, site_url, why_no_preview
from bluegreen.traffic.previews import Preview, Previews

log = logging.getLogger(__name__)

RETRY = 2.0  # seconds between attempts to remove a key that the disk does not let go


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A key, with what it shows and where. ``site`` is None where only the operator knows that.

    ``own_site`` is where no visitor comes, None if there is no such name; ``allow``, who needs no
    key there.
    """

    preview: Preview
    version: str | None
    path: str
    site: str | None
    own_site: str | None
    allow: tuple[str, ...]


class Previewing:
    """The keys of all apps, each app with the task that removes them when their time is over."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Task[None]] = {}

    async def issue(self, app: AppRuntime, seconds: float, by: Requester) -> Issued:
        """Let whoever has the key see the idle slot, for so long.

        Raises RefusedError where there is nothing to see or nginx cannot show it, and TrafficError:
        nginx does not answer, or the disk takes no key.
        """
        if (why_not := why_no_preview(app.settings)) is not None:
            raise why_not
        await app.parts.traffic.expect_nginx(app.name)
        slot = app.idle
        _require_running(app, slot)
        try:
            preview = await asyncio.to_thread(
                _previews(app).issue, slot, until=time.time() + seconds, by=by.name
            )
        except OSError as error:
            raise disk_error(f"{app.name}: no preview was made", error) from error
        await self._end_later(app)
        await app.parts.note(app.name, None, "preview", slot=slot, until=preview.until, by=by.name)
        return Issued(
            preview=preview, version=app.slots[slot].version,
            path=f"/.bluegreen/{app.name}/preview/{preview.key}", site=site_url(app.settings),
            own_site=preview_url(app.settings),
            allow=tuple(str(network) for network in app.settings.preview.allow),
        )  # fmt: skip

    async def revoke(self, app: AppRuntime, by: Requester) -> int:
        """End every preview that a person has asked for; how many. Raises TrafficError."""
        try:
            ended = await asyncio.to_thread(_revoke, _previews(app))
        except OSError as error:
            raise disk_error(f"{app.name}: its previews were not ended", error) from error
        await app.parts.note(app.name, None, "preview", revoked=ended, by=by.name)
        return ended

    async def take_over(self, app: AppRuntime) -> None:
        """At a start: what an earlier daemon has left ends, at once where nobody waits for it."""
        previews = _previews(app)
        try:
            left = await asyncio.to_thread(_clear, previews)
        except OSError as error:
            log.error("%s: its previews were not ended: %s", app.name, error, extra=_named(app))
            left = True
        if left:
            await self._end_later(app)

    async def forget(self, app: str) -> None:
        """The app is gone."""
        await end_task(self._ends.pop(app, None))

    async def close(self) -> None:
        """Keys stay: the next daemon ends them."""
        for app in list(self._ends):
            await self.forget(app)

    async def _end_later(self, app: AppRuntime) -> None:
        await self.forget(app.name)
        task = asyncio.create_task(self._end(app), name=f"end of the previews of {app.name}")
        task.add_done_callback(tell_if_failed)
        self._ends[app.name] = task

    async def _end(self, app: AppRuntime) -> None:
        """Remove keys as their time is over, until none is left."""
        previews = _previews(app)
        while True:
            try:
                next_end = await asyncio.to_thread(_expire, previews)
            except OSError as error:
                log.error("%s: a preview goes on: %s", app.name, error, extra=_named(app))
                next_end = time.time() + RETRY
            if next_end is None:
                return
            await asyncio.sleep(max(0.0, next_end - time.time()))


def _previews(app: AppRuntime) -> Previews:
    return Previews.of(app.layout)


def _named(app: AppRuntime) -> dict[str, object]:
    return {"app": app.name}


def _require_running(app: AppRuntime, slot: Slot) -> None:
    record = app.slots[slot]
    if record.version is None:
        raise RefusedError(
            f"{app.name}: the idle slot {slot} holds no release to be seen",
            remedy=f"bluegreen deploy {app.name} VERSION",
        )
    if not app.is_running(slot):
        raise RefusedError(
            f"{app.name}: {record.version} in the idle slot {slot} does not run",
            remedy="a release can be seen from its start until it is stopped, which [keep] hot says"
            f"; see it: bluegreen status {app.name}",
        )


def _revoke(previews: Previews) -> int:
    """Those of people: what is a gate's, the gate sees to."""
    asked = [preview for preview in previews.present() if preview.operation is None]
    for preview in asked:
        previews.revoke(preview)
    return len(asked)


def _clear(previews: Previews) -> bool:
    """Remove what was left of operations and what is over; whether anything is left."""
    previews.remove_unfinished()
    for preview in previews.present():
        if preview.operation is not None:
            previews.revoke(preview)
    return _expire(previews) is not None


def _expire(previews: Previews) -> float | None:
    """Remove those whose time is over; when the next one's is, in Unix seconds."""
    previews.settle()
    ends = []
    for preview in previews.present():
        if preview.until <= time.time():
            previews.revoke(preview)
        else:
            ends.append(preview.until)
    return min(ends, default=None)
