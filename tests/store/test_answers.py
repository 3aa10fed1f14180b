"""Answers that repeated requests get again: kept for a time, and so many."""

from __future__ import annotations

import pytest

from bluegreen.store import Store, answers
from bluegreen.store.answers import KeptAnswer


async def keep(store: Store, key: str, document: object, app: str = "shop") -> None:
    await store.answers.keep(app, key, KeptAnswer(request="asked", document=document))


async def test_an_answer_is_found_by_its_app_and_key(store: Store) -> None:
    await keep(store, "one", {"of": "shop"})
    await keep(store, "one", {"of": "forum"}, app="forum")
    found = await store.answers.find("shop", "one")
    assert found == KeptAnswer(request="asked", document={"of": "shop"})
    assert await store.answers.find("shop", "two") is None
    assert await store.answers.find("", "one") is None


async def test_an_answer_whose_time_is_over_is_gone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(store, "one", 1)
    monkeypatch.setattr(answers, "KEPT_FOR", -1.0)
    assert await store.answers.find("shop", "one") is None
    await keep(store, "two", 2)
    monkeypatch.undo()
    assert await store.answers.find("shop", "one") is None


async def test_the_oldest_make_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "KEPT_AT_MOST", 3)
    await keep(store, "0", 0, app="forum")
    for number in range(5):
        await keep(store, str(number), number)
    kept = [key for key in "01234" if await store.answers.find("shop", key) is not None]
    assert kept == ["2", "3", "4"]
    assert await store.answers.find("forum", "0") is not None  # another app's
