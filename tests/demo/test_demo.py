"""The demo itself, played for real from its beginning to its end."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

PATIENCE = 560.0  # seconds for all of it; it takes two minutes on two idle cores


@asynccontextmanager
async def demo(*options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The demo's process; should the test fail before its end, it is asked to clear up."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bluegreen", "demo", *options),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def read_until(process: asyncio.subprocess.Process, words: str) -> str:
    """What it has said up to a line with those words."""
    said = ""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while words not in said:
            line = await process.stdout.readline()
            assert line, said
            said += line.decode()
    return said


def root_of(said: str) -> Path:
    found = re.search(r"BLUEGREEN_ROOT=(\S+)", said)
    assert found is not None, said
    return Path(found[1])


def still_of(root: Path) -> list[str]:
    """Command lines of processes that are about that root, or work in it."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join([*process.cmdline(), process.cwd()])
        except psutil.Error:
            continue
        if str(root) in words:
            found.append(words)
    return found


@pytest.mark.timeout(PATIENCE + 60)
async def test_all_of_it_holds_nobody_is_let_down_and_nothing_stays_behind() -> None:
    async with demo() as process:
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    said = output.decode()
    assert process.returncode == 0, said
    root = root_of(said)
    assert not root.exists()
    assert still_of(root) == []
    assert "NOT" not in said
    assert re.search(r"^All held: (\d+) of \1 expectations came true, 0 failures\.$", said, re.M)
    assert re.search(
        r"^[\d,]+ requests, 0 failed; 20 WebSockets, 0 cut; \d+ downloads, 0 broken$", said, re.M
    )
    assert re.search(r"^108 instant switches, .* median .* p99 .* slowest", said, re.M)
    for row in (
        "switch back +blue",
        "switched back by itself +blue",
        "daemon killed",
        "100 switch",
    ):
        assert re.search(rf"^\S +[\d.]+ s  {row}.* 0$", said, re.M), row
    assert "bbbbbb" in said, "the chart in the terminal"
    verify_chart(said)


def verify_chart(said: str) -> None:
    """The picture is where the demo says, and shows every version that served."""
    found = re.search(r"^The chart as a picture: (\S+)$", said, re.M)
    assert found is not None, said
    chart = Path(found[1])
    try:
        texts = [text.text or "" for text in ET.parse(chart).iter() if text.tag.endswith("text")]
    finally:
        chart.unlink()
    assert {"blue: v1", "green: v2", "green: v3-crashes", "green: v1"} <= set(texts)
    assert any(text.endswith("daemon killed") for text in texts)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ended_early_it_leaves_nothing_behind(number: signal.Signals) -> None:
    async with demo() as process:
        said = await read_until(process, "bluegreen deploy monitor v1")
        root = root_of(said)
        assert still_of(root), "its daemon runs"
        process.send_signal(number)
        rest, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 128 + number, said + rest.decode()
    assert not root.exists()
    assert still_of(root) == []
    assert "ended and removed" in rest.decode()
