"""What an app has in common, however often it is asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from bluegreen.layout import Layout
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
