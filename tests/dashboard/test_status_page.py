"""The page for everybody, without a daemon."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from bluegreen.dashboard import status_page
from bluegreen.dashboard.context import Made
from bluegreen.dashboard.pages import Pages
from bluegreen.dashboard.status_page import KEPT
from bluegreen.errors import NotFoundError


async def test_however_often_it_is_asked_for_it_is_made_once_in_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two hundred apps that takes as long as three pages of whoever has logged in."""
    now, looked, up = [100.0], [0], [True]

    def is_up(*_: object) -> bool:
        looked[0] += 1
        return up[0]

    monkeypatch.setattr(status_page, "is_up", is_up)
    monkeypatch.setattr(status_page, "time", SimpleNamespace(monotonic=lambda: now[0]))
    settings = SimpleNamespace(status_page=True)
    dashboard = cast(
        "Any",
        SimpleNamespace(
            access=SimpleNamespace(rules=SimpleNamespace(settings=settings)), pages=Pages(),
            api=SimpleNamespace(desk=SimpleNamespace(apps={"shop": SimpleNamespace(name="shop")})),
            rounds=SimpleNamespace(begin=lambda _: None), made_for_all=Made(),
        ),
    )  # fmt: skip

    async def told() -> str:
        answer = await status_page.page(dashboard, cast("Any", None))
        assert isinstance(answer, web.Response)
        assert answer.headers["Cache-Control"] == "public, max-age=2"
        return answer.text or ""

    assert "Everything is up" in await told()
    up[0] = False
    now[0] += KEPT / 2
    assert ("Everything is up" in await told(), looked) == (True, [1])
    now[0] += KEPT / 2
    assert ("Not everything is up" in await told(), looked) == (True, [2])
    settings.status_page = False
    with pytest.raises(NotFoundError):
        await told()
