"""A row for each app, made anew only where something of the app has changed."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from bluegreen.api.context import Api
from bluegreen.api.documents.apps import AppState, SlotHealth
from bluegreen.dashboard.pages import Fragment, Pages
from bluegreen.model import Slot, UnitState

Health = dict[str, SlotHealth | None]  # by the name of the slot


@dataclass(frozen=True)
class Row:
    """``words`` is all that a search looks through."""

    name: str
    words: str
    text: str  # of the API's document
    health: Health
    fragment: Fragment
    attention: bool
    busy: bool


class Rows:
    """The rows as they were last made."""

    def __init__(self, api: Api, pages: Pages) -> None:
        self._api = api
        self._pages = pages
        self._made: dict[str, Row] = {}

    async def of(self, only: Collection[str] | None) -> list[Row]:
        """Of all apps, or ``only`` some, by their names."""
        texts = await self._api.overview.texts(self._api.desk, only)
        for gone in self._made.keys() - self._api.desk.apps.keys():
            del self._made[gone]
        return [self._row(name, texts[name]) for name in sorted(texts)]

    def _row(self, name: str, text: str) -> Row:
        app = self._api.desk.apps[name]
        health: Health = {slot.value: self._api.checkups.known(app, slot) for slot in Slot}
        made = self._made.get(name)
        if made is None or made.text != text or made.health != health:
            document: AppState = json.loads(text)
            why = attention(document, health)
            row = self._pages.fragment("row.html", app=document, health=health, attention=why)
            busy = document["operation"] is not None
            words = _words(document, why)
            made = self._made[name] = Row(name, words, text, health, row, why is not None, busy)
        return made


def attention(app: AppState, health: Health) -> str | None:
    """Why somebody should look at an app, in few words; None: nothing is wrong."""
    if app["unsettled"]:
        return "not settled"
    active = app["active"]
    if active is None:
        return None
    if app["closed"]:
        return "out of service"
    serving = app["slots"]["blue" if active == Slot.BLUE else "green"]
    found = health[active]
    if found is not None and not found["healthy"]:
        return "not healthy"
    if any(one["state"] == UnitState.BACKOFF for one in serving["services"].values()):
        return "a service ended"
    return None


def _words(app: AppState, attention: str | None) -> str:
    operation = app["operation"]
    versions = [slot["version"] or "" for slot in (app["slots"]["blue"], app["slots"]["green"])]
    doing = [] if operation is None else [operation["kind"], operation["phase"] or ""]
    return " ".join([app["app"], *versions, *doing, attention or ""]).lower()
