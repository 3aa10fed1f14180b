"""Deliveries in the store: each once, settled once, many in one transaction, and not for ever."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import IllegalTransitionError, NotFoundError, StoreFullError
from bluegreen.store import Store
from bluegreen.store import deliveries as rows
from bluegreen.store import delivery_bodies as bodies
from bluegreen.store.deliveries import Delivery, NewDelivery
from tests.store.rows import opened
from tests.waiting import eventually


def new(name: str, *, body: bytes = b"{}", **changes: Any) -> NewDelivery:
    values: dict[str, Any] = {
        "app": "shop", "provider": "github", "delivery": name, "digest": f"digest of {name}",
        "event": "push", "version": "v1", "decision": "accepted", "why": None,
        "via": "unix socket", "received_at": time.time(), "headers": {}, "body": body,
    }  # fmt: skip
    return NewDelivery(**values | changes)


async def ignored(store: Store, name: str, **changes: Any) -> Delivery:
    found, _ = await store.deliveries.record(
        new(name, decision="ignored", version=None, why="so", **changes)
    )
    return found


async def test_the_same_name_or_the_same_body_is_the_first_one(store: Store) -> None:
    first, is_new = await store.deliveries.record(new("a"))
    assert is_new
    again, is_new = await store.deliveries.record(new("a", digest="another"))
    assert (again, is_new) == (first, False)
    again, is_new = await store.deliveries.record(new("b", digest="digest of a"))
    assert (again, is_new) == (first, False)
    again, is_new = await store.deliveries.record(new("b", provider="gitea", digest="digest of a"))
    assert (again, is_new) == (first, False)
    for other in (new("a", app="other"), new("a", provider="gitea", digest="d"), new("c")):
        assert (await store.deliveries.record(other))[1], other


async def test_what_was_accepted_is_settled_once(store: Store) -> None:
    first, _ = await store.deliveries.record(new("a"))
    assert await store.deliveries.accepted() == [first]
    settled = await store.deliveries.settle(first.id, "triggered", operation=7, why="it deploys")
    assert (settled.decision, settled.operation) == ("triggered", 7)
    assert await store.deliveries.accepted() == []
    with pytest.raises(IllegalTransitionError):
        await store.deliveries.settle(first.id, "declined")
    assert await store.deliveries.find("shop", "a") == settled


async def test_those_that_arrive_together_share_a_transaction(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    make = rows._make

    def counted(connection: Any, changes: Any) -> Any:
        sizes.append(len(changes))
        return make(connection, changes)

    monkeypatch.setattr(rows, "_make", counted)
    found = await asyncio.gather(*(store.deliveries.record(new(str(n % 50))) for n in range(100)))
    assert Counter(is_new for _, is_new in found) == {True: 50, False: 50}
    assert sum(sizes) == 100
    assert len(sizes) <= 3


async def test_what_repeats_another_of_the_same_transaction_is_that_one(store: Store) -> None:
    known, _ = await store.deliveries.record(new("known"))
    together = [
        new("a"), new("known", digest="other"), new("b", digest="digest of a"),
        new("a", digest="other"), new("c", digest=None, version=None, decision="ignored", why="ü"),
        new("d", digest="digest of known"), new("e"),
    ]  # fmt: skip
    found = await asyncio.gather(*(store.deliveries.record(one) for one in together))
    assert [is_new for _, is_new in found] == [True, False, False, False, True, False, True]
    a, again, b, a_too, c, d, e = (one for one, _ in found)
    assert (again, d, b, a_too) == (known, known, a, a)
    assert await store.deliveries.of_app("shop", before=None, limit=9) == [e, c, a, known]


async def test_of_many_in_one_statement_each_is_as_it_is_by_itself(store: Store) -> None:
    known, _ = await store.deliveries.record(new("known"))
    together = [new("a"), new("known", digest="other"), new("b", digest="digest of known")]
    found = await asyncio.gather(*(store.deliveries.record(one) for one in together))
    assert [is_new for _, is_new in found] == [True, False, False]
    a, again, b = (one for one, _ in found)
    assert (again, b, a.is_whole) == (known, known, True)
    assert await store.deliveries.of_app("shop", before=None, limit=9) == [a, known]


async def test_a_change_that_is_refused_takes_none_with_it(store: Store) -> None:
    first = await ignored(store, "a")
    results = await asyncio.gather(
        store.deliveries.record(new("b")),
        store.deliveries.settle(first.id, "declined"),
        store.deliveries.record(new("c")),
        return_exceptions=True,
    )
    assert isinstance(results[1], IllegalTransitionError)
    names = [one.delivery for one in await store.deliveries.of_app("shop", before=None, limit=9)]
    assert names == ["c", "b", "a"]


async def test_bodies_are_forgotten_and_what_began_something_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_DELAY", 1000.0)  # none is written before its end is asked for
    monkeypatch.setattr(bodies, "BODIES_KEPT", 3)
    monkeypatch.setattr(bodies, "UNTRIGGERED_KEPT", 5)
    triggered, _ = await store.deliveries.record(new("kept"))
    await store.deliveries.settle(triggered.id, "triggered", operation=1)
    waiting, _ = await store.deliveries.record(new("waiting"))
    for number in range(9):
        await ignored(store, f"i{number}")
    await store.deliveries.close()
    found = await store.deliveries.of_app("shop", before=None, limit=99)
    assert [one.delivery for one in found] == ["i8", "i7", "i6", "i5", "i4", "waiting", "kept"]
    assert [one.is_whole for one in found] == [True] * 3 + [False] * 4
    assert await store.deliveries.accepted() == [replace(waiting, is_whole=False)]
    old = await ignored(store, "old", received_at=time.time() - bodies.BODY_LIFE - 1)
    assert (await store.deliveries.bodies.of(old.id)).body == b"{}"
    await store.deliveries.close()
    assert (await store.deliveries.bodies.of(old.id)).body is None


async def test_bodies_are_there_while_they_are_written_and_where_they_cannot_be(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_DELAY", 0.0)
    monkeypatch.setattr(bodies, "RETRY", 0.0)
    database, failing = store.deliveries.bodies._database, [True, True]
    write = database.write

    async def hardly(work: Any) -> Any:
        assert (await store.deliveries.bodies.of(first.id)).body == b"{}"
        if failing.pop():
            raise StoreFullError("full", remedy="free some")
        return await write(work)

    first = await ignored(store, "a")
    failing.insert(0, False)
    with monkeypatch.context() as patched:
        patched.setattr(database, "write", hardly)
        await eventually(lambda: not failing, "it is tried until it can be written")
        await store.deliveries.close()  # waits for what is under way
    with opened(path) as connection:
        assert connection.execute("SELECT body FROM deliveries").fetchone()[0] == b"{}"


async def test_of_what_is_not_written_yet_the_oldest_bodies_are_let_go(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_DELAY", 1000.0)
    monkeypatch.setattr(bodies, "MOST_WAITING", 100)
    body = b"x" * 40
    each = [await ignored(store, f"{n}", app=app, body=body) for n, app in enumerate("abab")]
    assert [(await store.deliveries.bodies.of(one.id)).body for one in each] == [
        None, None, body, body,
    ]  # fmt: skip


async def test_large_bodies_are_written_in_transactions_of_their_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_DELAY", 1000.0)  # all of them wait for the end
    monkeypatch.setattr(bodies, "AT_ONCE", 100)
    parts: list[list[int]] = []
    keep = bodies._keep_bodies

    def counted(connection: Any, bodies: Any, now: float) -> None:
        parts.append([len(one.body) for contents in bodies.values() for one in contents])
        keep(connection, bodies, now)

    monkeypatch.setattr(bodies, "_keep_bodies", counted)
    kept = [
        await ignored(store, f"{number}", app=app, body=b"x" * size)
        for number, (app, size) in enumerate([("a", 40), ("a", 60), ("b", 1), ("b", 150), ("b", 9)])
    ]
    await store.deliveries.close()
    assert parts == [[40, 60], [1], [150], [9]]
    assert [(await store.deliveries.bodies.of(one.id)).body for one in kept] == [
        b"x" * size for size in (40, 60, 1, 150, 9)
    ]


async def test_bodies_of_a_silent_app_are_forgotten_in_their_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await ignored(store, "a")
    await store.deliveries.close()
    monkeypatch.setattr(bodies, "BODY_LIFE", -1.0)
    forgetting = asyncio.create_task(store.deliveries.bodies.forget_old())

    async def forgotten() -> bool:
        return (await store.deliveries.bodies.of(first.id)).body is None

    await eventually(forgotten, "its time is over")
    forgetting.cancel()


async def test_what_was_delivered_is_never_rewritten(store: Store, path: Path) -> None:
    first, _ = await store.deliveries.record(new("a"))
    with opened(path) as connection:
        for change in ("version = 'v2'", "delivery = 'b'", "decision = 'ignored'"):
            with pytest.raises(Exception, match=r"never rewritten|settled"):
                connection.execute(f"UPDATE deliveries SET {change}")
        with pytest.raises(Exception, match="never deleted"):
            connection.execute("DELETE FROM deliveries")
    assert await store.deliveries.accepted() == [first]


async def test_a_delivery_is_found_by_number_or_name_in_its_app_only(store: Store) -> None:
    first = await ignored(store, "a")
    assert await store.deliveries.find("shop", str(first.id)) == first
    assert await store.deliveries.find("shop", "a") == first
    for app, name in (("other", "a"), ("other", str(first.id)), ("shop", "99"), ("shop", "9" * 30)):
        with pytest.raises(NotFoundError, match="no delivery"):
            await store.deliveries.find(app, name)
