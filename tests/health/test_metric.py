"""Numbers of others, asked of a real Prometheus as an app file asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bluegreen.config.watch_section import Metric, Watch
from bluegreen.health.metric import Measuring, UnknownError, read_metric
from tests.health.slot import FakeSlot
from tests.ports import kernel_ports
from tests.waiting import eventually

# What each slot has of some figure, as a service would report it.
ERRORS = (
    'label_replace(vector(7), "slot", "green", "", "")'
    ' or label_replace(vector(1), "slot", "blue", "", "")'
)


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of one that scrapes nothing."""
    [port] = kernel_ports(1)
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    process = await asyncio.create_subprocess_exec(
        "prometheus", f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    async def is_ready() -> bool:
        assert process.returncode is None, "it has ended"
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    try:
        await eventually(is_ready, "Prometheus is ready")
        yield url
    finally:
        process.terminate()
        await process.wait()


def table(url: str, query: str) -> dict[str, Any]:
    """``[[watch.metrics]]`` as docs/app-file.md has it."""
    http = {
        "url": f"{url}/api/v1/query", "params": {"query": query}, "value": "data.result.0.value.1",
    }  # fmt: skip
    return {"name": "errors", "max": 5, "interval": "0.1s", "http": http}


async def test_a_query_of_prometheus_gives_the_number_of_the_slot_or_says_why_not(
    prometheus: str, slot: FakeSlot
) -> None:
    of_the_slot = f'sum(({ERRORS}) and on(slot) label_replace(vector(1),"slot","{{slot}}","",""))'

    async def read(query: str) -> float:
        return await read_metric(Metric.model_validate(table(prometheus, query)), slot.target)

    assert await read(of_the_slot) == 7
    assert await read("vector(1) / 0") == float("inf")
    for query, why in {
        "vector(1) > 2": "there is no data.result.0.value.1 in the answer",
        "vector(0) / 0": "not a number: NaN",
        "sum(": "HTTP 400",
    }.items():
        with pytest.raises(UnknownError, match=why):
            await read(query)

    watch = Watch.model_validate({"failures": 2, "metrics": [table(prometheus, of_the_slot)]})
    async with Measuring(slot.target, watch) as measuring:
        said = await eventually(measuring.beyond, "it was beyond its limit twice in a row")
        assert said == "metric errors is 7, 2 times in a row (max 5)"
