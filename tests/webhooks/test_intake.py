"""What is taken up is handed on in its order, once, and no more of it than there is room for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.errors import BusyError, StoreError, StoreFullError
from bluegreen.model import Requester
from bluegreen.operations.desk import Desk
from bluegreen.operations.triggers import Triggered
from bluegreen.store import Store
from bluegreen.store.deliveries import NewDelivery
from bluegreen.webhooks import intake
from bluegreen.webhooks.intake import Intake, RefusedDeliveryError, Taken, TooManyError
from tests.waiting import eventually
from tests.webhooks.deliveries import SECRET, rule, signed


@dataclass
class TellingDesk:
    """A desk of one app that says what it was asked for, and declines it when it is let to."""

    parts: Any
    apps: dict[str, Any]
    asked: list[tuple[str, str]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Exception] = field(default_factory=list)

    async def trigger(self, app: str, version: str, by: Requester, *, key: str) -> Triggered:
        await self.open.wait()
        if self.failures:
            raise self.failures.pop()
        self.asked.append((version, key))
        return Triggered(operation=None, said=f"{app}: not today, {by.name}")

    def app(self, app: str) -> Any:
        return self.apps[app]

    async def deploy(self, app: str, version: str, by: Requester, *, key: str) -> None:
        raise self.failures.pop()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[TellingDesk]:
    (tmp_path / "secret").write_text(SECRET)
    hook = rule("github", "push").webhook
    secret = hook.secret[0].model_copy(update={"file": str(tmp_path / "secret")})
    settings = SimpleNamespace(webhook=(hook.model_copy(update={"secret": (secret,)}),))
    store = await Store.open(tmp_path / "store.db")
    yield TellingDesk(SimpleNamespace(store=store), {"shop": SimpleNamespace(settings=settings)})
    await store.close()


def taking(desk: TellingDesk) -> Intake:
    return Intake(cast("Desk", desk))


async def take(hooks: Intake, tag: str) -> Taken:
    body = json.dumps({"ref": f"refs/tags/{tag}", "after": "a" * 40}).encode()
    headers = signed("github", "push", body, name=tag)
    return await hooks.take("shop", headers.items(), body, "unix socket")


async def test_deliveries_are_handed_on_in_the_order_in_which_they_came(desk: TellingDesk) -> None:
    hooks = taking(desk)
    tags = [f"v{number}" for number in range(5)]
    taken = [asyncio.create_task(take(hooks, tag)) for tag in tags]
    await eventually(lambda: hooks._line["shop"] == 5, "all are taken up")
    desk.open.set()
    answers = [await one for one in taken]
    assert desk.asked == [(tag, f"webhook github {tag}") for tag in tags]
    assert [one.delivery.decision for one in answers] == ["declined"] * 5
    assert answers[0].delivery.why == "shop: not today, webhook github delivery v0"
    await hooks.close()


async def test_what_was_not_handed_on_is_after_the_next_start(desk: TellingDesk) -> None:
    hooks = taking(desk)
    taken = [asyncio.create_task(take(hooks, tag)) for tag in ("v1", "v2")]
    await eventually(lambda: hooks._line["shop"] == 2, "both are taken up")
    await hooks.close()
    assert {one.delivery.decision for one in await asyncio.gather(*taken)} == {"accepted"}
    desk.open.set()
    again = taking(desk)
    await again.resume()
    assert (await take(again, "v1")).is_repeated
    await eventually(lambda: len(desk.asked) == 2, "both are handed on")
    assert [version for version, _ in desk.asked] == ["v1", "v2"]
    await again.close()


async def test_one_that_came_to_disk_unheard_of_is_handed_on_when_it_comes_again(
    desk: TellingDesk,
) -> None:
    hooks = taking(desk)
    first = asyncio.create_task(take(hooks, "v1"))
    await eventually(lambda: hooks._line["shop"] == 1, "it is taken up")
    await hooks.close()
    await first
    desk.open.set()
    again = taking(desk)
    found = await take(again, "v1")
    assert (found.is_repeated, found.delivery.decision) == (True, "declined")
    await again.resume()
    assert [version for version, _ in desk.asked] == ["v1"]
    await again.close()


async def test_a_store_that_fails_is_tried_again_and_what_is_refused_is_not(
    desk: TellingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "RETRY", 0.0)
    desk.open.set()
    desk.failures = [StoreFullError("full", remedy="free some"), OSError(5, "no disk")]
    hooks = taking(desk)
    assert (await take(hooks, "v1")).delivery.why == "shop: not today, webhook github delivery v1"
    desk.failures = [BusyError("shop is busy", remedy="wait")]
    found = (await take(hooks, "v2")).delivery
    assert (found.decision, found.why) == ("declined", "shop is busy")
    assert [version for version, _ in desk.asked] == ["v1"]
    await hooks.close()


async def test_the_line_is_bounded_and_who_is_far_back_is_answered_at_once(
    desk: TellingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "SOON", 2)
    monkeypatch.setattr(intake, "LONGEST_LINE", 4)
    hooks = taking(desk)
    first = [asyncio.create_task(take(hooks, tag)) for tag in ("v1", "v2")]
    await eventually(lambda: hooks._line["shop"] == 2, "both are taken up")
    for tag in ("v3", "v4"):
        assert (await take(hooks, tag)).delivery.decision == "accepted"
    with pytest.raises(TooManyError, match="not handed on yet"):
        await take(hooks, "v5")
    crowded = await asyncio.gather(*first)  # they wait no longer either
    assert [one.delivery.decision for one in crowded] == ["accepted"] * 2
    desk.open.set()
    await eventually(lambda: hooks._line["shop"] == 0, "all are handed on")
    assert [version for version, _ in desk.asked] == ["v1", "v2", "v3", "v4"]
    assert not (await take(hooks, "v5")).is_repeated
    await hooks.close()


async def test_a_replay_that_cannot_be_recorded_is_refused_and_settled_later(
    desk: TellingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "RETRY", 0.0)
    desk.open.set()
    hooks, by = taking(desk), Requester(name="alice", via="unix socket")
    await take(hooks, "v1")
    desk.failures = [StoreFullError("full", remedy="free some")]
    with pytest.raises(StoreFullError):
        await hooks.replay("shop", "v1", by, "k")
    await eventually(lambda: not hooks._handing_on, "it is settled")
    again = await hooks.replay("shop", "v1", by, "k")
    assert (again.is_repeated, again.delivery.decision) == (True, "declined")
    await hooks.close()


async def test_a_replay_that_came_to_disk_unheard_of_is_begun_when_it_is_asked_for_again(
    desk: TellingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.open.set()
    hooks, by = taking(desk), Requester(name="alice", via="unix socket")
    await take(hooks, "v1")
    record = hooks._deliveries.record

    async def unheard_of(new: NewDelivery) -> None:
        await record(new)
        raise StoreError("silent", remedy="ask again")

    with monkeypatch.context() as patched:
        patched.setattr(hooks._deliveries, "record", unheard_of)
        with pytest.raises(StoreError):
            await hooks.replay("shop", "v1", by, "k")
    desk.failures = [BusyError("shop is busy", remedy="wait")]
    with pytest.raises(BusyError):  # it has come as far as the desk
        await hooks.replay("shop", "v1", by, "k")
    await eventually(lambda: not hooks._handing_on, "it is settled")
    again = await hooks.replay("shop", "v1", by, "k")
    assert (again.delivery.decision, again.delivery.why) == ("declined", "shop is busy")
    await hooks.close()


async def test_what_is_refused_is_counted_by_app_and_nobodys_together(desk: TellingDesk) -> None:
    hooks = taking(desk)
    for app in ("shop", "nobody", "somebody", "shop"):
        with pytest.raises(RefusedDeliveryError):
            await hooks.take(app, signed("github", "push", b"{}").items(), b"", "unix socket")
    assert hooks.refused == {"shop": 2, intake.NOBODY: 2}
