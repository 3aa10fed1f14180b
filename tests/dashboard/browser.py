"""Debian's Chromium, driven by Playwright, and what axe-core makes of a page."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright, expect

expect.set_options(timeout=60_000)
CHROMIUM = "/usr/bin/chromium"
AXE = Path(__file__).parent / "axe" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Without its sandbox where root starts it, which it refuses otherwise."""
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            yield browser
        finally:
            await browser.close()


async def opened(browser: Browser, url: str, **options: Any) -> Page:
    """A page of a browser of its own, at ``url``, whose certificate nobody has signed."""
    context = await browser.new_context(base_url=url, ignore_https_errors=True, **options)
    context.set_default_timeout(60_000)
    return await context.new_page()


async def logged_in(browser: Browser, url: str, token: str, **options: Any) -> Page:
    page = await opened(browser, url, **options)
    await page.goto("/")
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Apps")).to_be_visible()
    return page


async def obstacles(page: Page) -> list[str]:
    """What axe-core finds on the page as it is now."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(AXE.read_text())  # which the page's own policy does not concern
    found = await page.evaluate(
        "(tags) => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", RULES
    )
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
