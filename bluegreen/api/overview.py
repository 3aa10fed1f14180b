"""All apps in one answer, as JSON: that of an app is made anew once something of it has changed.

Of two hundred apps hardly any does between two looks, and making one takes longer than seeing that.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bluegreen.api.documents.apps import Findings
from bluegreen.api.status import Known, app_view, ask, shown
from bluegreen.config.settings import AppSettings
from bluegreen.model import Slot, Traffic, UnitKey
from bluegreen.operations.desk import Desk
from bluegreen.operations.runtime import AppRuntime
from bluegreen.traffic.markers import Stamp


@dataclass(kw_only=True)
class _Kept:
    settings: AppSettings
    started: Sequence[Mapping[str, int]]  # what either slot was started with
    keys: Sequence[UnitKey]  # of all its services, by all that
    stamp: Stamp | None = None  # of its markers, as they were when …
    traffic: Traffic | None = None  # … they said this
    made_of: object = None  # what ``text`` says something of
    text: str = ""


class Overview:
    """The documents of apps as they were last made, and what they were made of."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    async def text(self, desk: Desk, only: Collection[str] | None, rest: Findings) -> str:
        """Every app, or ``only`` some, without their health; and ``rest``, behind them."""
        texts = (await self.texts(desk, only)).values()
        return f'{{"apps": [{", ".join(texts)}], {json.dumps(rest).removeprefix("{")}'

    async def texts(self, desk: Desk, only: Collection[str] | None) -> dict[str, str]:
        """The documents by the names of the apps."""
        known = await ask(desk)
        texts = {}
        for app in shown(desk, only):
            kept = self._of(app)
            traffic = _traffic(desk, app, kept)
            made_of = _made_of(desk, app, traffic, known, kept.keys)
            if made_of is None or made_of != kept.made_of:
                # Of an app at rest nothing is waited for: it is of the moment that was looked at.
                kept.text = json.dumps(await app_view(desk, app, traffic, known))
                kept.made_of = made_of
            texts[app.name] = kept.text
        for gone in self._kept.keys() - desk.apps.keys():
            del self._kept[gone]
        return texts

    def _of(self, app: AppRuntime) -> _Kept:
        name, settings = app.name, app.settings
        kept, started = self._kept.get(name), [app.slots[slot].services for slot in Slot]
        if kept is None or kept.settings is not settings or kept.started != started:
            kept = _Kept(settings=settings, started=started, keys=_keys(app))
            self._kept[name] = kept
        return kept


def _traffic(desk: Desk, app: AppRuntime, kept: _Kept) -> Traffic:
    look = desk.parts.traffic
    if kept.traffic is None or kept.stamp is None or not look.is_as_of(app.name, kept.stamp):
        kept.stamp = look.stamp(app.name)
        kept.traffic = look.read(app.name)
    return kept.traffic


def _keys(app: AppRuntime) -> list[UnitKey]:
    return [key for slot in Slot for key in app.unit_keys(slot, app.settings.services)]


def _made_of(
    desk: Desk, app: AppRuntime, traffic: Traffic, known: Known, keys: Sequence[UnitKey]
) -> object:
    """All that the document of an app at rest says something of, beside its settings.

    None for one at which something happens, or that needs a look at the disk or the history.
    """
    name, blue, green = app.name, app.slots[Slot.BLUE], app.slots[Slot.GREEN]
    if (
        desk.running(name) is not None
        or desk.waiting.of(name)
        or desk.unsettled.of(name)
        or traffic.held is not None
        or (traffic.closed and traffic.active is not None)
        or app.settings.migrations is not None
        or known.migrations is None
        or name in known.migrations
    ):
        return None
    silence, statuses = known.silence, [app.parts.supervisor.status(key) for key in keys]
    return (
        traffic.active,
        traffic.closed,
        traffic.share,
        blue,
        green,
        app.is_ready(Slot.BLUE),
        app.is_ready(Slot.GREEN),
        [(one.state, one.pid, one.restarts, one.last_exit) for one in statuses],
        known.locks.get(name),
        known.pauses.get(name),
        None if silence is None else (silence.message, silence.remedy),
    )
