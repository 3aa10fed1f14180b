"""Builds that wait for each other, and their output while they run."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.operations.asking import status_of
from tests.stack import Stack
from tests.waiting import PATIENCE, eventually


def held_build(until: Path) -> str:
    """A build step that waits for a file."""
    return f"""
[[build]]
name = "held"
run = "echo waiting; until [ -e {until} ]; do sleep 0.05; done; echo went on"
"""


async def test_a_build_waits_for_a_free_place_and_status_says_so(empty: Stack) -> None:
    go = empty.root / "go"
    for name in ("monitor", "second"):
        empty.write_app(name, services=("api",), watch="0.1s", extra=held_build(go))
    empty.layout.daemon_file.write_text("[limits]\nbuilds = 1\n")
    await empty.serve()
    first = await empty.start_cli("deploy", "monitor", "v1")

    async def building() -> bool:
        log = empty.layout.app("monitor").operation_logs(1) / "build-held.log"
        return log.exists() and "waiting" in log.read_text()

    await eventually(building, "the first build runs")
    second = await empty.start_cli("deploy", "second", "v1")

    async def waiting() -> bool:
        operation = (await status_of(empty, "second"))["operation"]
        return operation is not None and operation["waiting_for"] == "a free build place"

    await eventually(waiting, "the second build waits")
    assert "waiting for a free build place" in (await empty.cli("status", "second")).out
    assert list(empty.layout.app("second").operation_logs(2).glob("build-*")) == []
    go.touch()
    for process in (first, second):
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 0, out
        assert (b"waiting for a free build place" in out) == (process is second)


async def test_the_output_of_a_build_is_followed_line_by_line(empty: Stack) -> None:
    go = empty.root / "go"
    empty.write_app(services=("api",), watch="0.1s", extra=held_build(go))
    await empty.serve()
    assert (await empty.cli("deploy", "monitor", "v1", "--detach")).status == 0
    following = await empty.start_cli("logs", "monitor", "1", "--follow")
    assert following.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while await following.stdout.readline() != b"build-held | waiting\n":
            assert following.returncode is None
        assert (await status_of(empty))["operation"]["phase"] == "build"
        go.touch()
        assert b"build-held | went on\n" in await following.stdout.read()
        assert await following.wait() == 0
