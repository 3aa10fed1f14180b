"""Long work in threads of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from bluegreen.sources import interruptible
from bluegreen.sources.interruptible import AT_A_TIME, Stop, StoppedError, in_thread
from tests.waiting import PATIENCE, eventually

MANY = 33  # asyncio.to_thread has 32 threads at most

LETS_GO = """
import asyncio, threading
from bluegreen.sources import interruptible
interruptible.STOP_WAIT = 0.1

async def main():
    stuck = asyncio.create_task(
        interruptible.in_thread(lambda _: threading.Event().wait(), name="stuck")
    )
    await asyncio.sleep(0)
    stuck.cancel()
    await asyncio.wait([stuck])
    print("let go", flush=True)

asyncio.run(main())
"""


class Held:
    """Work that goes on until it is let go, deaf to its stop."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.under_way = 0
        self._lock = threading.Lock()

    def work(self, stop: Stop) -> str:
        with self._lock:
            self.under_way += 1
        self.go.wait()
        return "done"


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.go.set()


def begin(held: Held, count: int) -> list[asyncio.Task[str]]:
    return [
        asyncio.create_task(in_thread(held.work, name=f"held {number}"), name=f"held {number}")
        for number in range(count)
    ]


async def test_however_much_is_under_way_others_find_a_thread(held: Held) -> None:
    tasks = begin(held, MANY)
    await eventually(lambda: held.under_way == AT_A_TIME, "some are under way")
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "at once"), PATIENCE) == "at once"
    held.go.set()
    assert await asyncio.gather(*tasks) == ["done"] * MANY


async def test_so_much_at_a_time_and_no_more(held: Held) -> None:
    tasks = begin(held, AT_A_TIME + 1)
    await eventually(lambda: held.under_way == AT_A_TIME, "they are under way")
    [*first, last] = tasks
    last.cancel()
    await asyncio.wait([last])
    assert last.cancelled()
    assert held.under_way == AT_A_TIME  # it never had its turn
    held.go.set()
    assert await asyncio.gather(*first) == ["done"] * AT_A_TIME


async def test_what_is_stuck_takes_no_place_from_others(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruptible, "STOP_WAIT", 0.1)
    tasks = begin(held, AT_A_TIME)
    await eventually(lambda: held.under_way == AT_A_TIME, "they are under way")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert await asyncio.wait_for(in_thread(lambda _: "done", name="next"), PATIENCE) == "done"


async def test_what_is_stuck_does_not_keep_the_program_from_ending() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LETS_GO, stdout=asyncio.subprocess.PIPE
    )
    try:
        out, _ = await asyncio.wait_for(program.communicate(), PATIENCE)
    finally:
        if program.returncode is None:
            program.kill()
    assert (out, program.returncode) == (b"let go\n", 0)


async def test_cancelled_it_returns_once_the_work_has_stopped() -> None:
    began = threading.Event()
    ended: list[str] = []

    def work(stop: Stop) -> None:
        began.set()
        try:
            while True:
                stop.check()
        except StoppedError:
            ended.append("stopped")
            raise

    task = asyncio.create_task(in_thread(work, name="work"), name="work")
    await asyncio.to_thread(partial(began.wait, PATIENCE))
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert ended == ["stopped"]


async def test_what_it_raises_is_raised() -> None:
    def work(stop: Stop) -> None:
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        await in_thread(work, name="work")
