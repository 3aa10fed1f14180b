"""What an app's runtime has in common, and answers of its slots."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bluegreen.layout import Layout
from bluegreen.model import Hold, Slot, Traffic
from bluegreen.operations.parts import Parts
from bluegreen.operations.runtime import AppRuntime
from tests.slots.sources import RELEASE, FilesSource, Runner, settings_with


async def test_two_plans_do_not_look_at_one_tree_at_a_time(tmp_path: Path) -> None:
    parts = SimpleNamespace(layout=Layout(tmp_path), supervisor=Runner())
    app = AppRuntime(settings=settings_with(), parts=cast("Parts", parts), slots={})
    app.layout.trees.mkdir(parents=True)
    source, looked, others = FilesSource({"app.py": "x"}), asyncio.Event(), asyncio.Event()

    async def look(*, until: asyncio.Event) -> Path:
        async with app.trees.for_a_look(source, RELEASE) as tree:
            looked.set()
            await until.wait()
            assert (tree / "app.py").read_text() == "x"
            return tree

    first = asyncio.create_task(look(until=others), name="the first look")
    await looked.wait()
    looked.clear()
    second = asyncio.create_task(look(until=others), name="the second look")
    # Nor does what is reclaimed meanwhile take the tree away.
    assert await app.trees.reclaim(keep=()) == 0
    async with app.trees.for_a_look(source, RELEASE, build=True) as built:
        assert not looked.is_set()
        assert (built / "app.py").exists()
    others.set()
    assert await first == await second
    assert looked.is_set()
    assert not [*app.layout.trees.iterdir()]


def test_of_a_slot_that_runs_no_page_reads_a_marker_to_tell_whether_it_is_paused() -> None:
    """A page of 200 apps asks four times of each, every two seconds."""
    looked: list[str] = []
    hold = Hold(since=0.0, until=time.time() + 60, by="deploy", operation=7)

    def read(app: str) -> Traffic:
        looked.append(app)
        return Traffic(active=Slot.BLUE, closed=False, held=hold)

    parts = SimpleNamespace(traffic=SimpleNamespace(read=read))
    app = cast("Any", SimpleNamespace(name="shop", parts=parts, is_stopped=lambda _: False))
    assert not AppRuntime.is_paused(app, Slot.BLUE)
    assert looked == []
    app.is_stopped = lambda _: True
    assert AppRuntime.is_paused(app, Slot.BLUE)
    assert looked == ["shop"]
