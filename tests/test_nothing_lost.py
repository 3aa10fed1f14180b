"""Promise 2, at its hardest: a hundred switches under everything that a switch could break."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bluegreen.cli.client import Client
from bluegreen.demo.load_process import LoadProcess
from bluegreen.demo.load_settings import LoadSettings
from tests.stack import Stack, stack
from tests.visits import served_version

SWITCHES = 100
SPAN = 8.0  # seconds: switches go on until several downloads have had all of theirs in them
DOWNLOAD_SECONDS = 2
RATE = 100_000  # bytes a second
BY_COMMAND = 5  # every fifth switch is typed, the others come through the API


@pytest.fixture
async def both_hot() -> AsyncIterator[Stack]:
    """The sample app with all four services: v2 serves, v1 runs beside it."""
    async with stack() as built:
        built.write_app(watch="0s")
        await built.serve()
        await built.deploy("v1")
        await built.deploy("v2")
        yield built


async def switch(built: Stack, number: int) -> Any:
    """Switch back, and return the version that the answer says is served now."""
    if number % BY_COMMAND == 0:
        answer = await built.cli("switch", "back", "--json")
        assert answer.status == 0, answer.err
        return answer.document["version"]
    client = Client(built.root)
    answered = await asyncio.to_thread(client.post, "/v1/apps/monitor/switch", {"to": "back"})
    assert answered["warnings"] == []
    return answered["version"]


async def switch_and_verify(built: Stack) -> int:
    """Switch at least so often and so long; what serves must be what each switch said."""
    began, number, expected = time.monotonic(), 0, "v1"
    while number < SWITCHES or time.monotonic() - began < SPAN:
        number += 1
        assert await switch(built, number) == expected
        assert await served_version(built) == expected
        expected = "v2" if expected == "v1" else "v1"
    return number


async def test_a_hundred_switches_lose_no_request_no_websocket_and_no_download(
    both_hot: Stack,
) -> None:
    settings = LoadSettings(
        url=both_hot.url(), connections=64, websockets=20, downloads=10, think=0.005,
        download_bytes=DOWNLOAD_SECONDS * RATE, download_rate=RATE,
    )  # fmt: skip
    async with LoadProcess(settings) as load:
        await load.ready()
        switches = await switch_and_verify(both_hot)
        report = await load.stop()
    assert report.failures == ()
    assert report.failed == 0
    assert report.connections_opened == 64
    assert (report.websockets_opened, report.websockets_cut) == (20, 0)
    assert report.downloads_done >= 20
    assert report.downloads_broken == 0
    served = {each.version: each.total for each in report.series}
    assert served.keys() == {"v1", "v2"}
    assert min(served.values()) > SWITCHES, "both slots had their share of the requests"
    await verify_history(both_hot, switches)


async def verify_history(built: Stack, switches: int) -> None:
    """Every switch is in the history once, and marker and store agree in the end."""
    client = Client(built.root)
    path = f"/v1/apps/monitor/operations?limit={min(switches, 200)}"
    operations = (await asyncio.to_thread(client.get, path))["operations"]
    assert {(each["kind"], each["state"]) for each in operations} == {("switch", "succeeded")}
    newest = operations[0]
    assert newest["slot"] == built.marker()
    assert newest["id"] == switches + 2, "two deploys came before"
    status = await built.status()
    assert all(slot["ready"] for slot in status["slots"].values())
