"""The dashboard's first page with 200 apps: its first byte, its size, and a change that it shows.

All of them hold a release in both slots. The page is read over loopback; the change is seen in
headless Chromium, from the moment at which it is asked for: what a lock takes itself counts too.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from playwright.async_api import Page

from bluegreen.model import Slot, SlotRecord, SlotState
from bluegreen.store import slots
from tests.bench.figures import Figure, median, p99
from tests.bench.hosts import EXECUTED, TRIVIAL, trivial_host
from tests.dashboard.browser import chromium, opened
from tests.ports import kernel_ports
from tests.stack import Stack

APPS = 200
LOADS = 200
CHANGES = 60
FIRST_BYTE = 100.0  # ms
SIZE = 150.0  # kB
SEEN = 200.0  # ms
BECAUSE = {"reason": "the benchmark"}
FILES = ("style.css", "live.js", "icon.svg")  # that the page refers to

# Resolves at the moment at which the row says it: the browser's clock is this host's.
SEES = """(text) => new Promise((resolve) => {
  const looks = () => document.querySelector("#app-%s em").textContent === text &&
    (observer.disconnect(), resolve(Date.now()));
  const observer = new MutationObserver(looks);
  observer.observe(document.body, {subtree: true, childList: true, characterData: true});
  looks();
})"""


def fill(path: Path) -> None:
    """Let the store say that every app but the first has releases, which do not run. Blocking."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for index in range(1, APPS):
            for slot in Slot:
                record = SlotRecord(
                    app=f"app-{index:03}", slot=slot, state=SlotState.COLD,
                    version=f"2026.11.{index % 30:02}-rc{index}", commit=f"{index:040x}",
                )  # fmt: skip
                slots.save(connection, record)


async def token_of(built: Stack, listen: str) -> str:
    """Let the daemon listen there; a token that may do everything."""
    built.layout.daemon_file.write_text(f'[api]\nlisten = "{listen}"\n')
    await built.reload()
    status, document = await built.ask("POST", "/v1/tokens", {"scopes": ["admin"]})
    assert status == 200, document
    return str(document["token"])


async def loads(url: str, token: str) -> tuple[Sequence[float], int]:
    """Milliseconds until the first byte of each page was there; and the bytes of one."""
    took = []
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.post("/login", data={"token": token}) as response:
            assert response.status == 200, await response.text()
        for _ in range(LOADS):
            began = time.perf_counter()
            async with session.get("/") as response:
                await response.content.readany()
                took.append((time.perf_counter() - began) * 1000)
                await response.read()
        async with session.get("/") as response:
            size = len(await response.read())
    return took, size


async def files(url: str) -> int:
    """Bytes of all that the page refers to, which a browser loads once."""
    size = 0
    async with aiohttp.ClientSession(url) as session:
        for name in FILES:
            async with session.get(f"/static/{name}") as response:
                size += len(await response.read())
    return size


async def changes(built: Stack, page: Page) -> Sequence[float]:
    """Milliseconds from the asking for a lock, or its end, until the page shows it."""
    took = []
    for number in range(CHANGES):
        action, body, text = ("unlock", {}, "") if number % 2 else ("lock", BECAUSE, "locked")
        seen = asyncio.create_task(page.evaluate(SEES % TRIVIAL, text))
        began = time.time() * 1000
        status, document = await built.ask("POST", f"/v1/apps/{TRIVIAL}/{action}", body)
        assert status == 200, document
        took.append(await seen - began)
    return took


async def measure() -> list[Figure]:
    [port] = kernel_ports(1)
    url = f"http://127.0.0.1:{port}"
    async with trivial_host(APPS) as built:
        await built.terminate()
        await asyncio.to_thread(fill, built.layout.database)
        await built.serve(prefix=EXECUTED)
        token = await token_of(built, f"127.0.0.1:{port}")
        took, size = await loads(url, token)
        beside = await files(url)
        async with chromium() as browser:
            page = await opened(browser, url)
            await page.goto("/")
            await page.get_by_label("Token").fill(token)
            await page.get_by_role("button", name="Log in").click()
            await page.wait_for_selector(f"#app-{TRIVIAL}")
            seen = await changes(built, page)
    name = f"the page of {APPS} apps"
    return [
        Figure(name=f"{name}: first byte, p99", value=p99(took), unit="ms", goal=FIRST_BYTE),
        Figure(name=f"{name}: first byte, median", value=median(took), unit="ms"),
        Figure(name=f"{name}: size", value=size / 1000, unit="kB", goal=SIZE),
        Figure(name="styles, script and icon beside it", value=beside / 1000, unit="kB"),
        Figure(name="a change seen in the browser, p99", value=p99(seen), unit="ms", goal=SEEN),
        Figure(name="a change seen in the browser, median", value=median(seen), unit="ms"),
    ]
