"""The page in a browser without a network: all that it shows is in it, and nothing in it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from playwright.async_api import Browser, Page

from bluegreen.report.page import page
from bluegreen.report.story import tell
from tests.dashboard.browser import chromium, obstacles
from tests.report.documents import documents, led
from tests.stack import stack


@asynccontextmanager
async def opened(browser: Browser, file: Path, **options: object) -> AsyncIterator[Page]:
    """The file, as somebody opens it who has no network; what it does wrong fails the test."""
    context = await browser.new_context(offline=True, **options)  # type: ignore[arg-type]
    tab = await context.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("dialog", lambda dialog: wrong.append(dialog.message))
    await tab.goto(file.as_uri())
    yield tab
    assert asked == [file.as_uri()]
    assert wrong == []
    await context.close()


async def test_a_report_shows_all_of_it_without_a_network(tmp_path: Path) -> None:
    told = tmp_path / "told.html"
    given = documents()
    given = replace(given, events=[*led((2.5, 10), (3.5, 60)), *given.events])
    told.write_text(page(tell(given), made_at=given.made_at))
    async with stack() as built:
        built.write_app(services=("api",))
        await built.serve()
        await built.deploy("v1")
        assert (await built.cli("deploy", "monitor", "v3-build-fails")).status == 1
        nobody = await built.cli("report", "shop")
        assert (nobody.status, "no app named shop" in nobody.err) == (2, True)
        made = tmp_path / "made.html"
        answer = await built.cli("report", "monitor", "--output", str(made), "--json")
        assert (answer.status, answer.document) == (0, {"file": str(made), "operation": 2})
        refused = await built.cli("report", "monitor", "--output", str(tmp_path / "none/x"))
        assert refused.status == 1
        assert f"{tmp_path}/none/x cannot be written: No such file or directory" in refused.err

    async with chromium() as browser:
        async with opened(browser, made) as tab:
            assert await tab.title() == "monitor: v1 → v3-build-fails: failed"
            text = await tab.inner_text("body")
            for said in (
                "v3-build-fails was not put into service: v1 in blue served throughout.",
                "build step assets of v3-build-fails",
                "It is built",
                "via unix socket",
                "unexpected token",
            ):
                assert said in text, said

        narrow = {"width": 390, "height": 800}
        for scheme in ("light", "dark"):
            async with opened(browser, told, color_scheme=scheme, viewport=narrow) as tab:
                assert "<script>alert(1)</script>" in await tab.inner_text("pre >> nth=0")
                assert await tab.locator("svg.charts .line").count() == 5
                moments = tab.locator("svg.charts .moment-says")
                steps = sorted(await moments.all_text_contents())[:2]
                assert steps == ["10 % to green", "60 % to green"]
                boxes = [await one.bounding_box() for one in await moments.all()]
                heights = {round(box["y"]) for box in boxes if box is not None}
                assert len(heights) == 4, "none is written over another"
                assert await tab.evaluate("document.documentElement.scrollWidth") == 390
                assert await obstacles(tab) == []
                paper = await tab.evaluate(
                    "getComputedStyle(document.documentElement).backgroundColor"
                )
                assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
                await tab.emulate_media(media="print")
                assert (
                    await tab.evaluate("getComputedStyle(document.documentElement).backgroundColor")
                    == "rgb(255, 255, 255)"
                )
