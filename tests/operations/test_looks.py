"""Trees of no operation: whoever looks into one has it, whatever else is done to the app."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.layout import Layout
from bluegreen.operations.runtime import AppRuntime
from tests.slots.sources import RELEASE, FilesSource, Runner, settings_with
from tests.waiting import eventually


@pytest.mark.parametrize("build", [False, True])
async def test_neither_another_plan_nor_a_release_that_settles_takes_a_plans_tree(
    root: Path, *, build: bool
) -> None:
    parts = SimpleNamespace(layout=Layout(root), supervisor=Runner())
    app = AppRuntime(settings=settings_with(), parts=cast("Any", parts), slots={})
    app.layout.trees.mkdir(parents=True)
    source, looked = FilesSource({"app.py": "x"}), list[str]()

    async def look(name: str) -> None:
        async with app.trees.for_a_look(source, RELEASE, build=build) as tree:
            looked.append(name)
            assert (tree / "app.py").is_file()

    async with app.trees.for_a_look(source, RELEASE, build=build) as tree:
        second = asyncio.create_task(look("second"))
        await app.trees.reclaim([])
        assert (tree / "app.py").is_file()
        async with app.trees.for_a_look(source, RELEASE, build=not build):
            pass  # a build takes its time, and keeps nobody from a look
        assert not looked
    await eventually(lambda: looked, "the second one has its turn")
    await second
    assert not list(app.layout.trees.iterdir())
