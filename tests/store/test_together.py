"""Changes of one kind: many in one transaction, and each with its own result."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import StoreError
from bluegreen.store import database as databases
from bluegreen.store import together
from bluegreen.store.database import Database
from bluegreen.store.together import Change, Together
from tests.waiting import PATIENCE, eventually


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "store.db")
    yield opened
    await opened.close()


def counting(database: Database) -> tuple[Together, list[int]]:
    """And how many changes each transaction made."""
    sizes: list[int] = []

    def make(connection: sqlite3.Connection, changes: Sequence[Change]) -> list[Any]:
        sizes.append(len(changes))
        return [change.work(connection) for change in changes]

    return Together(database, make), sizes


def answering(number: int) -> Callable[[sqlite3.Connection], int]:
    return lambda _: number


async def test_what_comes_while_one_is_made_goes_with_the_next(database: Database) -> None:
    made, sizes = counting(database)
    goes_on = threading.Event()
    first = asyncio.create_task(made.change(lambda _: goes_on.wait(PATIENCE)))
    await eventually(lambda: sizes == [1], "the first is being made")
    others = [asyncio.create_task(made.change(answering(n))) for n in range(5)]
    await asyncio.sleep(0)
    goes_on.set()
    assert await first
    assert await asyncio.gather(*others) == [0, 1, 2, 3, 4]
    assert sizes == [1, 5]


async def test_a_transaction_that_is_full_leaves_the_rest_to_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "MOST", 2)
    made, sizes = counting(database)
    found = await asyncio.gather(*(made.change(answering(n)) for n in range(5)))
    assert (found, sizes) == ([0, 1, 2, 3, 4], [2, 2, 1])


async def test_what_is_refused_is_so_by_itself(database: Database) -> None:
    made, _ = counting(database)

    def refuse(_: sqlite3.Connection) -> None:
        raise StoreError("no", remedy="none")

    found = await asyncio.gather(
        made.change(lambda _: 1), made.change(refuse), made.change(lambda _: 3),
        return_exceptions=True,
    )  # fmt: skip
    assert [found[0], str(found[1]), found[2]] == [1, "no", 3]


async def test_one_that_is_refused_costs_the_others_few_transactions(database: Database) -> None:
    made, sizes = counting(database)

    def refuse(_: sqlite3.Connection) -> None:
        raise StoreError("no", remedy="none")

    works: list[Callable[[sqlite3.Connection], object]] = [answering(n) for n in range(64)]
    works[9] = refuse
    found = await asyncio.gather(*map(made.change, works), return_exceptions=True)
    assert [n for n, one in enumerate(found) if one != n] == [9]
    assert str(found[9]) == "no"
    assert len(sizes) == 13  # two of each size below


async def test_what_the_disk_refuses_is_asked_once_and_all_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "LOCK_WAIT", 0.05)
    opened = await Database.open(tmp_path / "store.db")
    made, sizes = counting(opened)
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = await asyncio.gather(
            *(made.change(answering(n)) for n in range(8)), return_exceptions=True
        )
    assert ["held by another process" in str(one) for one in found] == [True] * 8
    assert await made.change(answering(9)) == 9
    assert sizes == [1]
    await opened.close()


async def test_of_a_store_that_is_closed_each_is_told(database: Database) -> None:
    made, sizes = counting(database)
    await database.close()
    with pytest.raises(StoreError, match="closed"):
        await made.change(lambda _: 1)
    assert sizes == []


async def test_a_disk_that_does_not_answer_is_asked_once_and_all_are_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "ANSWER_WITHIN", 0.1)
    made, sizes = counting(database)
    goes_on = threading.Event()
    stuck = await asyncio.gather(
        made.change(lambda _: goes_on.wait(PATIENCE)),
        made.change(answering(2)),
        return_exceptions=True,
    )
    assert ["did not answer" in str(one) for one in stuck] == [True, True]
    monkeypatch.undo()
    goes_on.set()
    assert await made.change(answering(3)) == 3
    assert sizes == [2, 1]


async def test_a_transaction_that_was_given_up_before_it_began_takes_nothing_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "ANSWER_WITHIN", 0.1)
    made, sizes = counting(database)
    goes_on = threading.Event()
    first = asyncio.create_task(made.change(lambda _: goes_on.wait(PATIENCE)))
    await eventually(lambda: sizes == [1], "the first is being made")
    with pytest.raises(StoreError, match="did not answer"):
        await made.change(answering(2))
    with pytest.raises(StoreError, match="did not answer"):
        await first
    monkeypatch.undo()

    def refuse(_: sqlite3.Connection) -> None:
        raise StoreError("no", remedy="none")

    third = asyncio.create_task(made.change(refuse))
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(StoreError, match="no"):
        await asyncio.wait_for(third, PATIENCE)
