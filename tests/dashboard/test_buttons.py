"""What can be done to an app from its page: on a phone, by the keyboard alone, each confirmed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, Page, expect

from tests.api.door import Door
from tests.dashboard.browser import logged_in, obstacles, opened
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")

MOST_TABS = 20
PHONE = {"width": 360, "height": 740}


@dataclass
class Hand:
    """Somebody at a keyboard, who reads what a button would do before it is done."""

    page: Page

    async def ask(self, button: str, says: str) -> None:
        """Open the page of a button of the app, which ``says`` what would happen."""
        await self.page.goto("/apps/monitor")
        await self.reach(button)
        await expect(self.page.get_by_text(says).first).to_be_visible()
        assert await obstacles(self.page) == [], button
        wide = await self.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], button

    async def reach(self, name: str) -> None:
        """Past what every page begins with, and from one link to the next as far as that one."""
        await self.page.keyboard.press("Tab")
        await self.page.keyboard.press("Enter")
        for _ in range(MOST_TABS):
            await self.page.keyboard.press("Tab")
            if await self.page.evaluate("document.activeElement.innerText") == name:
                return await self.page.keyboard.press("Enter")
        raise AssertionError(f"{name} cannot be reached by the keyboard")

    async def press(self, button: str) -> None:
        await self.page.get_by_role("button", name=button, exact=True).press("Enter")

    async def done(self, outcome: str = "succeeded") -> None:
        """The operation that was begun has ended so, as its page says by itself."""
        await expect(self.page.locator("#outcome .state")).to_have_text(outcome)

    async def told(self, text: str) -> None:
        """The page of the app says so."""
        await expect(self.page.locator("main").get_by_text(text).first).to_be_visible()

    async def offered(self) -> set[str]:
        await self.page.goto("/apps/monitor")
        return {*await self.page.locator("#actions a").all_inner_texts()}


async def test_every_button_says_what_it_does_and_does_it(
    door: Door, url: str, browser: Browser
) -> None:
    """From v2 serving in green, and v1 hot in blue, to the same with the slots changed."""
    own_name = '[preview]\nserver_name = ["next.localhost"]'
    door.stack.write_app(services=("api",), watch="0.3s", extra=own_name)
    assert (await door.reload())[0] == 200
    page = await logged_in(browser, url, await door.token("admin"), viewport=PHONE)
    hand, visitor = Hand(page), await opened(browser, door.stack.url())
    await hand.ask("Preview…", "Whoever has the link sees v1 in blue through the site")
    await hand.press("Make a link")
    await visitor.goto(await page.locator("#preview-link").inner_text())
    await visitor.goto("/api/health")
    await expect(visitor.locator("body")).to_contain_text('"version": "v1"')
    own = await page.get_by_role("link", name="next.localhost").get_attribute("href")
    await visitor.goto(own or "")
    await visitor.goto(f"http://next.localhost:{door.stack.listen['monitor']}/api/health")
    await expect(visitor.locator("body")).to_contain_text('"version": "v1"')
    await visitor.goto(f"{door.stack.url()}/api/health")
    await hand.press("End all previews")
    await hand.told("1 preview ended")
    await visitor.goto("/api/health")
    await expect(visitor.locator("body")).to_contain_text('"version": "v2"')

    door.configure(door.usual() + "\nstatus_page = true")
    assert (await door.reload())[0] == 200
    public = await opened(browser, url)
    await public.clock.install()
    await public.goto("/status")
    assert await obstacles(public) == []
    await expect(public.get_by_role("heading")).to_have_text("Everything is up")
    await hand.ask("Stop…", "every visitor is answered 503")
    await hand.press("Stop monitor")
    await hand.done()

    async def is_told() -> bool:
        await public.clock.fast_forward(30_000)
        return await public.get_by_role("heading").inner_text() == "Not everything is up"

    await eventually(is_told, "the page for everybody says so by itself")
    assert (await visitor.request.get("/api/health")).status == 503
    assert {"Start…", "Deploy…"} <= await hand.offered()
    assert not {"Stop…", "Restart…"} & await hand.offered()
    await hand.ask("Start…", "visitors come in once it has passed its gate")
    await hand.press("Start")
    await hand.done()
    assert (await visitor.request.get("/api/health")).status == 200
    door.configure(door.usual())
    assert (await door.reload())[0] == 200

    await hand.ask("Restart…", "takes the place of v1 in blue: a switch back no longer leads there")
    await hand.press("Restart")
    await hand.done()
    assert (door.stack.marker(), (await door.stack.status())["slots"]["blue"]["version"]) == (
        "blue", "v2",
    )  # fmt: skip
    await hand.ask("Roll back…", "An older release goes through the same gate")
    assert [await one.get_attribute("value") for one in await page.get_by_role("radio").all()] == [
        "v1"
    ]
    await hand.press("Roll back")
    await hand.done()
    await hand.ask("Switch back…", "instant, to v2")
    await hand.press("Switch back")
    await hand.told("blue serves v2 now")

    await hand.ask("Hold requests…", "wait at nginx until they are let through")
    await page.get_by_label("At most, in seconds").fill("600")  # longer than what is done meanwhile
    await hand.press("Hold requests")
    await hand.told("New requests wait: held")
    assert not {"Deploy…", "Restart…", "Stop…"} & await hand.offered()  # all refused meanwhile
    await hand.ask("Let requests through…", "They go on, and none has failed")
    await hand.press("Let requests through")
    await hand.told("requests go through again")
    await hand.ask("Lock…", "Deploys are refused until it is unlocked")
    await page.get_by_label("Why").fill("a move")
    await hand.press("Lock")
    await hand.told("Locked against deploys: a move")
    assert not {"Deploy…", "Roll back…", "Restart…"} & await hand.offered()
    await hand.ask("Unlock…", "Locked by token")
    await hand.press("Unlock")
    await hand.told("deploys are allowed again")

    operation = await waiting(door, hand)
    deployer = await logged_in(browser, url, await door.token("deploy"))
    await deployer.goto(operation)
    await expect(deployer.get_by_role("link", name="Cancel…")).to_be_visible()
    await expect(deployer.get_by_role("link", name="Promote…")).to_have_count(0)
    await hand.ask("Cancel…", "v2 in blue goes on serving")
    await hand.press("End it")
    await page.wait_for_url("**/apps/monitor")
    await expect(deployer.locator("#outcome .state")).to_have_text("cancelled")
    await page.goto("/apps/monitor/cancel")  # as from a page that is old
    await hand.told("Nothing is in progress any more.")
    await expect(page.get_by_role("button", name="End it")).to_have_count(0)
    await waiting(door, hand)
    await hand.ask("Promote…", "all traffic comes to it")
    await page.locator("[name=operation]").evaluate("(one) => one.value = '1'")  # an old page's
    await hand.press("Promote")
    await hand.told("operation 1 of monitor does not wait to be promoted")
    await hand.press("Promote")
    await hand.done()
    assert door.stack.marker() == "green"
    await hand.ask("Switch back…", "instant, to v2")
    await hand.press("Switch back")
    await hand.told("blue serves v2 now")


async def waiting(door: Door, hand: Hand) -> str:
    """Deploy v1 so that it waits for a person, and see that it does; the path of its page."""
    await hand.page.goto("/apps/monitor/deploy?version=v1")
    await hand.page.get_by_label("wait for a person").press("Space")
    await hand.press("Deploy v1")
    await expect(hand.page.get_by_role("link", name="Promote…")).to_be_visible()
    path = f"/operations/{(await door.stack.operations())[0]['id']}"
    assert hand.page.url.endswith(path)
    await hand.page.goto("/apps/monitor")
    await hand.told("It waits to be promoted")
    return path


async def test_a_list_without_a_match_says_so_until_there_is_one(
    door: Door, url: str, browser: Browser
) -> None:
    page = await logged_in(browser, url, await door.token("read"))
    hand = Hand(page)
    await page.goto("/?q=none")
    await hand.told("No app matches.")
    await page.get_by_label("Filter").fill("monitor")
    await expect(page.locator("#app-monitor")).to_be_visible()
    await expect(page.get_by_text("No app matches.")).to_be_hidden()
    await page.get_by_label("Filter").fill("nothing like it")
    await hand.told("No app matches.")
