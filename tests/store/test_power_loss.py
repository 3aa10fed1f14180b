"""Killed in a commit, or with a WAL that the power cut left torn: whole transactions or none."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
from pathlib import Path

from bluegreen.model import OperationState, PhaseName, PhaseState, Slot, SlotRecord, SlotState
from bluegreen.store import Store
from tests.store.rows import assert_nothing_is_half, opened, switch
from tests.waiting import PATIENCE

ROUNDS = 20
CONCURRENT = 4  # operations that the recorder has under way at a time


async def _record_and_kill(path: Path, dice: random.Random) -> list[str]:
    """Let a recorder write, kill it at a random moment; what it said it had committed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.recorder", str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        for _ in range(dice.randrange(1, 40)):
            line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
            assert line, "the recorder ended by itself"
            said.append(line.decode().strip())
        # Not a wait for something: the moment within a commit is what is drawn here.
        await asyncio.sleep(dice.uniform(0, 0.004))
    finally:
        process.kill()
    rest = await asyncio.wait_for(process.stdout.read(), PATIENCE)
    await asyncio.wait_for(process.wait(), PATIENCE)
    return said + rest.decode().splitlines()


async def test_sigkill_at_random_moments_leaves_whole_operations(path: Path) -> None:
    dice = random.Random(20)
    created: set[int] = set()
    finished: set[int] = set()
    for _ in range(ROUNDS):
        for line in await _record_and_kill(path, dice):
            what, number = line.split()
            (created if what == "created" else finished).add(int(number))
        store = await Store.open(path)
        recorded = await store.operations(None, limit=100_000)
        unfinished = {operation.id for operation in await store.unfinished()}
        await store.close()
        assert created <= {operation.id for operation in recorded}
        assert finished.isdisjoint(unfinished)
        assert unfinished == {o.id for o in recorded if not o.state.is_final}
        assert len(unfinished) <= CONCURRENT
        # Committed, and killed before it could say so: at most one for each task.
        assert len({o.id for o in recorded if o.state.is_final} - finished) <= CONCURRENT
        finished |= {o.id for o in recorded if o.state.is_final}
        with opened(path) as connection:
            assert_nothing_is_half(connection)
    assert len(finished) > ROUNDS


def _contents(path: Path) -> tuple[bytes, bytes]:
    return path.read_bytes(), path.with_name(f"{path.name}-wal").read_bytes()


async def _database_and_wal(path: Path) -> tuple[bytes, bytes]:
    """A database whose last transactions, six switches, are in the WAL only."""
    store = await Store.open(path)
    with opened(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(6):
        operation = await switch(store)
        record = SlotRecord(
            app="shop", slot=Slot.BLUE, state=SlotState.COLD, version=f"v{number}",
            operation=operation.id,
        )  # fmt: skip
        await store.finish_operation(
            operation.id, OperationState.SUCCEEDED,
            phase=(PhaseName.SWITCH, PhaseState.DONE, {}), slots=[record],
        )  # fmt: skip
    files = _contents(path)
    await store.close()
    return files


def _rows_after_recovery(path: Path, database: bytes, wal: bytes) -> int:
    path.write_bytes(database)
    path.with_name(f"{path.name}-wal").write_bytes(wal)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    with opened(path) as connection:
        assert_nothing_is_half(connection)
        [count] = connection.execute("SELECT count(*) FROM operation_states").fetchone()
    return int(count)


async def test_a_wal_cut_anywhere_holds_the_transactions_before_the_cut(
    path: Path, tmp_path: Path
) -> None:
    database, wal = await _database_and_wal(path)
    dice = random.Random(4)
    cuts = sorted([0, len(wal), *(dice.randrange(len(wal)) for _ in range(60))])
    rows = [_rows_after_recovery(tmp_path / "cut.db", database, wal[:cut]) for cut in cuts]
    assert rows == sorted(rows)
    assert (rows[0], rows[-1]) == (0, 18)


async def test_a_wal_with_garbage_in_it_holds_the_transactions_before(
    path: Path, tmp_path: Path
) -> None:
    database, wal = await _database_and_wal(path)
    dice = random.Random(5)
    for _ in range(40):
        damaged = bytearray(wal)
        at = dice.randrange(len(wal))
        damaged[at : at + 512] = dice.randbytes(len(damaged[at : at + 512]))
        _rows_after_recovery(tmp_path / "garbage.db", database, bytes(damaged))


async def test_a_commit_is_in_the_file_when_the_call_returns(store: Store, path: Path) -> None:
    operation = await switch(store)
    # Another program, as after a power cut, knows nothing of what the store's process remembers.
    with opened(path) as other:
        assert other.execute("SELECT operation FROM running").fetchall() == [(operation.id,)]
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
        assert reader.execute("SELECT count(*) FROM phases").fetchone() == (1,)
    reader.close()
