"""The dashboard as people use it: in Chromium, behind a real nginx, on a real host with apps."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.api.door import Door
from tests.dashboard.browser import logged_in, obstacles, opened
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")

HOSTILE = "<img src=x onerror=alert(1)>"
POINTS: list[dict[str, Any]] = [
    {"at": 1_800_000_000 + n, "slots": {"green": {"rate": n, "failed": n % 7}}, "judged": None}
    for n in range(300)
]
POINTS.append({"at": 1_800_000_150, "switch": "blue"})
# Keeps what the row of the app said, however short a time: a busy host may look too late.
WITNESS = """() => {
  window.seen = [];
  new MutationObserver(() => {
    const row = document.getElementById("app-monitor");
    window.seen.push([row.className, row.querySelector("em")?.textContent || ""]);
  }).observe(document.body, {childList: true, subtree: true});
}"""
WAS_BUSY = "window.seen.some(([kind, text]) => kind === 'busy' && text.includes('deploy v1'))"


async def unloaded(page: Page) -> bool:
    """Whether the page was loaded anew since it was marked."""
    return not await page.evaluate("window.marked === true")


async def test_two_people_watch_a_deploy_a_switch_back_and_a_restart(
    door: Door, url: str, browser: Browser
) -> None:
    alice = await logged_in(browser, url, await door.token("admin"))
    bob = await logged_in(browser, url, await door.token("read"))
    violations: list[str] = []
    for page in (alice, bob):
        page.on("pageerror", lambda error: violations.append(str(error)))
        page.on("console", lambda said: violations.append(said.text))
    row = bob.locator("#app-monitor")
    await expect(row.locator(".green.on")).to_contain_text("v2 serving")
    await bob.evaluate("window.marked = true")
    await bob.evaluate(WITNESS)

    # A deploy, from a button: phases and output come by themselves.
    await alice.get_by_role("link", name="monitor").click()
    await alice.get_by_role("link", name="Deploy…").click()
    await alice.get_by_label("Version").fill("v1")
    await alice.get_by_role("button", name="See what it would do").click()
    await expect(alice.locator(".plan")).to_contain_text("instant, to v2")
    await alice.get_by_role("button", name="Deploy v1").click()
    await alice.wait_for_url("**/operations/*")
    await alice.evaluate("window.marked = true")
    await eventually(lambda: bob.evaluate(WAS_BUSY), "the row has said that it is deployed")
    for phase in ("build", "gate", "switch"):
        await expect(alice.locator("#phases .done", has_text=phase)).to_be_visible()
    await expect(alice.locator("#output")).to_contain_text("build-assets | assets: v1")
    await expect(alice.locator("#outcome")).to_contain_text("succeeded")
    await expect(alice.locator("#say")).to_have_text("deploy v1: succeeded")
    await expect(alice.locator("#slots .blue.on")).to_contain_text("v1")
    assert not await unloaded(alice)
    await expect(row.locator(".blue.on")).to_contain_text("v1 serving")
    await alice.evaluate("(points) => addPoints({begin: true, points})", POINTS)
    await expect(alice.locator("#chart svg .line.rate")).to_have_count(2)
    await expect(alice.locator("#chart svg text.mark")).to_have_text("to blue")
    assert await obstacles(alice) == []
    await alice.evaluate("(line) => addLine({source: 'build-x', line})", HOSTILE)
    await expect(alice.locator("#output")).to_contain_text(HOSTILE)
    await expect(alice.locator("#output *")).to_have_count(0)  # it is text

    # Back again, by the keyboard alone.
    button = alice.get_by_role("link", name="Switch back…")
    await button.focus()
    await alice.keyboard.press("Enter")
    await expect(alice.get_by_text("Traffic goes to green")).to_be_visible()
    await alice.get_by_role("button", name="Switch back").press("Enter")
    await expect(alice.get_by_text("green serves v2 now")).to_be_visible()
    await expect(row.locator(".green.on")).to_contain_text("v2 serving")
    assert door.stack.marker() == "green"

    # The daemon goes and comes while both watch.
    assert violations == []
    await alice.goto("/")
    await alice.evaluate("window.marked = true")
    await door.stack.terminate()
    for page in (alice, bob):
        await expect(page.locator("#connection")).to_contain_text("No connection")
    await door.stack.serve()
    for page in (alice, bob):
        await expect(page.locator("#connection")).to_be_hidden()
    answer = await door.stack.cli("lock", "shop", "--reason", "after the restart")
    assert answer.status == 0, answer.err
    for page in (alice, bob):
        await expect(page.locator("#app-shop em")).to_have_text("locked")
        assert not await unloaded(page)

    # Logging out is told to the other pages of the session.
    other = await alice.context.new_page()
    await other.goto("/apps/monitor")
    await other.get_by_role("button", name="Log out").click()
    await expect(other.get_by_label("Token")).to_be_visible()
    await expect(alice.locator("#connection")).to_contain_text("Your session is over")
    await expect(bob.locator("#connection")).to_be_hidden()
    assert not [text for text in violations if "Content Security Policy" in text]


async def test_the_list_is_filtered_and_found_its_way_through_by_keyboard(
    door: Door, url: str, browser: Browser
) -> None:
    page = await logged_in(browser, url, await door.token("read"))
    await page.keyboard.press("/")
    await page.keyboard.type("mon")
    await expect(page.locator("#app-shop")).to_be_hidden()
    await expect(page.locator("#app-monitor")).to_be_visible()
    await expect(page.locator("#found")).to_have_text("1 of 2")
    await page.reload()  # the filter is in the address
    await expect(page.locator("#app-shop")).to_be_hidden()
    await page.get_by_label("Filter").fill("")
    await expect(page.locator("#app-shop")).to_be_visible()


async def test_nothing_keeps_anybody_from_using_a_page(
    door: Door, url: str, browser: Browser
) -> None:
    out = await opened(browser, url)
    await out.goto("/login")
    page = await logged_in(browser, url, await door.token("admin"))
    paths = [
        "/", "/apps/monitor", "/apps/monitor/deploy?version=v1", "/apps/monitor/switch",
        "/apps/monitor/lock", "/apps/monitor/history", "/apps/none",
    ]  # fmt: skip
    for looked_at, path in [(out, "/login"), *((page, path) for path in paths)]:
        await looked_at.goto(path)
        for scheme in ("light", "dark"):
            await looked_at.emulate_media(color_scheme=scheme)
            assert await obstacles(looked_at) == [], (path, scheme)
    await page.set_viewport_size({"width": 360, "height": 740})
    for path in paths[:3]:
        await page.goto(path)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, path


async def test_buttons_work_without_a_script(door: Door, url: str, browser: Browser) -> None:
    page = await logged_in(browser, url, await door.token("admin"), java_script_enabled=False)
    await page.goto("/apps/monitor")
    await page.get_by_role("link", name="Lock…").click()
    await page.get_by_label("Why").fill("by hand")
    await page.get_by_role("button", name="Lock").click()
    await expect(page.get_by_text("Locked against deploys: by hand")).to_be_visible()
    await expect(page.get_by_role("link", name=re.compile("Deploy"))).to_have_count(0)
    await page.get_by_role("link", name="Unlock…").click()
    await page.get_by_role("button", name="Unlock").click()
    await expect(page.get_by_role("link", name=re.compile("Deploy"))).to_have_count(1)
