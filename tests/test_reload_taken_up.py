"""A reload that fails after nginx was told: it is made, and what is left to do is said."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen import daemon as daemon_module
from bluegreen.config.load import Configuration
from bluegreen.daemon import Daemon, Options
from bluegreen.errors import StoreError
from bluegreen.layout import Layout
from bluegreen.notify import Notifier
from bluegreen.operations import acceptance, app_directories
from bluegreen.operations.acceptance import InForce
from bluegreen.operations.desk import Desk
from tests.waiting import PATIENCE


async def nothing(*_: object) -> None:
    pass


async def test_what_fails_once_nginx_has_it_is_a_warning_and_is_done_by_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    recovered: list[list[str]] = []
    fails = True

    async def recover(desk: Desk, names: list[str]) -> None:
        if fails:
            raise StoreError("the store does not answer", remedy="mend the disk")
        recovered.append(names)

    monkeypatch.setattr(daemon_module, "recover", recover)
    daemon = Daemon(Options(layout=Layout(tmp_path), notifier=Notifier(None, None)))
    settings = SimpleNamespace(api=None)
    old, new = (
        cast("Configuration", SimpleNamespace(apps=apps, daemon=settings))
        for apps in ({}, {"shop": 1})
    )
    doors = SimpleNamespace(discard=lambda: None)

    async def prepare(_: None) -> Any:
        return doors

    daemon._listening = cast(
        "Any",
        SimpleNamespace(prepare=prepare, follow=lambda _: nothing(), warnings=()),
    )
    daemon._notifications = cast("Any", SimpleNamespace(warnings=tuple))
    daemon._in_force = InForce(configuration=old)
    daemon._upkeep = cast("Any", SimpleNamespace(trouble=None))
    come = SimpleNamespace(name="shop", admission=asyncio.Lock())
    desk = cast(
        "Desk",
        SimpleNamespace(
            apps={}, running=lambda _: None, busy=lambda _: None,
            parts=SimpleNamespace(traffic=SimpleNamespace(publish=nothing)),
            previewing=SimpleNamespace(take_over=nothing),
            warmth=SimpleNamespace(keep_apart=nothing),
            waiting=SimpleNamespace(look=lambda _: None),
        ),
    )  # fmt: skip

    async def judged(_: Desk) -> Configuration:
        return new

    async def added(desk: Any, _: Configuration) -> list[Any]:
        return [] if desk.apps else [come]

    async def put_in_force(desk: Any, _: Configuration, found: list[Any]) -> None:
        desk.apps.update({app.name: app for app in found})

    for name, told in {
        "_judged": judged, "_added": added, "_put_in_force": put_in_force,
        "_confirm_lost": nothing, "_keep_accepted": nothing,
    }.items():  # fmt: skip
        replaced = told if told is not nothing else (lambda: nothing())
        monkeypatch.setattr(daemon, name, replaced)
    for name in ("make", "clear"):
        monkeypatch.setattr(app_directories, name, lambda *_: None)
    # Nothing, then what has come: the app is changed again as its reload is repeated.
    monkeypatch.setattr(acceptance, "changed", lambda old, _: sorted(old.apps))
    monkeypatch.setattr(acceptance, "difference", lambda *_: {})

    await daemon._reload(desk)
    now = daemon._now_in_force()
    assert now.configuration is new
    assert now.warnings == (
        "reloaded, and not all is done: the store does not answer; mend the disk; "
        "then reload again",
    )
    fails = False
    async with asyncio.timeout(PATIENCE):
        await daemon._reload(desk)
    assert recovered == [["shop"]]
    assert daemon._now_in_force().warnings == ()
