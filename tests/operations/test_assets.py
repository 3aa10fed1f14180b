"""``assets`` of a route: what a page of either version asks for is there, whichever serves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bluegreen.traffic.gate import HostGate
from tests.bench.servers import nginx_main
from tests.bench.trivial import SLOTS
from tests.operations.asking import history_of
from tests.operations.promoted import end_service, ended, post, standing
from tests.operations.proxied import HOST, write_shop
from tests.operations.standstill import held, killed_before_rename_of
from tests.stack import Stack
from tests.traffic.client import Reply, ask
from tests.waiting import eventually

STEPS = '\n[promote]\nsteps = [50]\npause = "10m"\nsticky = "cookie"\n'
ODD = "a b'$uri;{}%ä.js"
ODD_PATH = "/static/a%20b'$uri;%7B%7D%25%C3%A4.js"


def release(stack: Stack, version: str, ports: list[int], *, dist: bool = True) -> None:
    """A release whose page and scripts say its version, and that answers POSTs itself."""
    directory = stack.root / "releases" / version
    files = {
        "index.html": f"page of {version}",
        f"{version}.html": f"only in {version}",
        f"app.{version}.js": f"script of {version}",
        f"deep/er/style.{version}.CSS": f"style of {version}",
        f".{version}.js": "hidden",
        f".git/{version}.js": "hidden",
        f"key.{version}.pem": "a secret",
        f"{version}.php": "<?php secret",
        ODD if version == "one" else "even.js": "odd",
    }
    for name, text in files.items() if dist else ():
        path = directory / "dist" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if dist:
        (directory / f"secret.{version}.js").write_text("outside of dist")
        (directory / "dist" / f"link.{version}.js").symlink_to(f"../secret.{version}.js")
        (directory / "dist" / f"linked.{version}").symlink_to("..")
    directory.mkdir(parents=True, exist_ok=True)
    for slot, port in zip(SLOTS, ports, strict=True):
        (directory / f"{slot}.conf").write_text(
            nginx_main(
                f"""
    default_type text/html;
    server {{
        listen 127.0.0.1:{port};
        if ($request_method = POST) {{ return 200 "posted to {version}"; }}
        location = /health {{ return 200 "well"; }}
        location / {{ return 404 "nothing in {version}"; }}
        location = /static/app.{version}.js {{ return 200 "script by {version}"; }}
        location = /static/index.html {{ return 200 "page of {version}"; }}
    }}""",
                workers="1",
            )
        )


@pytest.fixture
async def shop(empty: Stack) -> Stack:
    """``one`` serves in blue."""
    route = '[[routes]]\npath = "/static/"\nservice = "api"\nassets = "dist"\n[[routes]]'
    write_shop(empty, STEPS, **{"[[routes]]": route})
    ports = [int(part) for part in _ports(empty)]
    for version in ("one", "two", "three"):
        release(empty, version, ports)
    release(empty, "unbuilt", ports, dist=False)
    await empty.serve()
    await empty.deploy("one", "shop")
    return empty


def _ports(stack: Stack) -> list[str]:
    line = next(
        line
        for line in (stack.layout.app_files / "shop.toml").read_text().splitlines()
        if line.startswith("ports")
    )
    return ["".join(filter(str.isdigit, part)) for part in line.split(",")]


async def get(stack: Stack, path: str, **headers: str) -> Reply:
    return await ask(stack.listen["shop"], path, headers={"Host": HOST, **headers})


async def script(stack: Stack, version: str, **headers: str) -> str:
    return (await get(stack, f"/static/app.{version}.js", **headers)).body


async def test_pages_of_both_versions_find_their_files_all_the_way(shop: Stack) -> None:
    assert await script(shop, "one") == "script by one"
    assert (await get(shop, "/static/app.two.js")).status == 404

    # In steps each client finds the files of both, and pages of its own version only.
    await post(shop, "deployments", version="two")
    await standing(shop, "steps", share=50)
    for version, other in (("one", "two"), ("two", "one")):

        async def cookie(version: str = version) -> dict[str, str] | None:
            reply = await get(shop, "/static/index.html")
            shown = reply.headers["set-cookie"].partition(";")[0]
            return {"Cookie": shown} if reply.body == f"page of {version}" else None

        client = await eventually(cookie, f"a client is on {version}")
        assert await script(shop, version, **client) == f"script by {version}"
        assert await script(shop, other, **client) == f"script of {other}"
        assert (await get(shop, f"/static/{other}.html", **client)).status == 404
    await post(shop, "promote")
    assert (await ended(shop))["state"] == "succeeded"

    # Whoever is shown a slot is shown what it has: a gate has to meet what a release lacks.
    preview = (await post(shop, "preview"))["header"]
    assert await script(shop, "one", **preview) == "script by one"
    assert await script(shop, "two", **preview) == "nothing in one"

    # After the switch: of the right types, for GET and HEAD, whatever becomes of the old slot.
    end_service(shop, "blue")
    reply = await get(shop, "/static/app.one.js")
    assert (reply.status, reply.body) == (200, "script of one")
    assert reply.headers["content-type"] == "text/javascript"
    assert reply.headers["cache-control"] == "max-age=600"
    head = await ask(shop.listen["shop"], "/static/app.one.js", method="HEAD")
    assert (head.status, head.headers["content-length"]) == (200, "13")
    assert (await get(shop, "/static/deep/er/style.one.CSS")).headers["content-type"] == "text/css"
    assert (await get(shop, ODD_PATH)).body == "odd"
    assert (await get(shop, "/static/index.html")).body == "page of two"
    assert await script(shop, "two") == "script by two"
    posted = await ask(shop.listen["shop"], "/static/app.one.js", method="POST", body=b"x")
    assert posted.body == "posted to two"
    for path in (
        "one.html", "one.php", "key.one.pem", ".one.js", ".git/one.js", "link.one.js",
        "linked.one/secret.one.js", "none.js", "", "deep", "deep/", f"{'x' * 300}.js",
        "a/" * 1900 + "x.js",
    ):  # fmt: skip
        reply = await get(shop, f"/static/{path}")
        assert (reply.status, reply.body) == (404, "nothing in two"), path
    for path in ("%2e%2e/secret.one.js", "x/../%2e%2e/static/%2e%2e/static/none.js"):
        assert (await get(shop, f"/static/{path}")).body == "nothing in two", path
    for path in ("app.one.js%00", "%2e%2e/%2e%2e/x.js", "..%2f..%2fblue.conf"):
        assert (await get(shop, f"/static/{path}")).status == 400, path

    # Back again, and what serves anew has its own files.
    await shop.cli("switch", "back", "shop")
    await ended(shop)
    assert shop.marker("shop") == "blue"
    assert await script(shop, "one") == "script by one"
    assert await script(shop, "two") == "script of two"
    assert (await get(shop, "/static/index.html")).body == "page of one"


async def interrupted(stack: Stack) -> None:
    """The next daemon undoes what was done, and the old slot has its files again."""
    await stack.serve()
    assert (await ended(stack))["state"] == "interrupted"
    assert await script(stack, "one") == "script of one"


async def test_what_holds_closes_or_fails_leaves_them_right(shop: Stack) -> None:
    path = shop.layout.app_files / "shop.toml"
    path.write_text(path.read_text().replace(STEPS, ""))
    await shop.reload()
    await shop.deploy("two", "shop")
    failed = await shop.cli("deploy", "shop", "unbuilt")
    assert "the assets of the release cannot be kept: dist is not there after the build" in (
        failed.err
    )
    assert "Next: let assets in [[routes]] name a directory" in failed.err
    assert await script(shop, "one") == "script of one"

    # Killed amid the copy, and on either side of its taking the slot.
    app = shop.layout.app("shop")
    number = (await history_of(shop, "shop"))[0]["id"]
    copied = app.assets / f"{number + 1}-blue/static/app.three.js"
    async with killed_before_rename_of(shop, copied, "fchmod"):
        await post(shop, "deployments", version="three")
    assert await script(shop, "one") == "script of one"
    await interrupted(shop)
    for link in (app.assets / "blue", app.slots / "blue"):
        async with held(shop) as standstill:
            posting = asyncio.create_task(post(shop, "deployments", version="three"), name="three")
            while not any(step.path == link for step in await standstill.next()):
                standstill.go_on()
            await shop.kill()
        await posting
        assert await script(shop, "two") == "script by two"
        await interrupted(shop)

    by_hand = await shop.cli("hold", "shop")
    assert by_hand.status == 0, by_hand.err
    waiting = asyncio.create_task(script(shop, "one"), name="a held request")

    async def is_held() -> bool:
        return (await HostGate(shop.layout).ask("shop")).waiting == 1

    await eventually(is_held, "the request waits")
    assert (await shop.cli("release", "shop")).status == 0
    assert await waiting == "script of one"
    assert (await shop.cli("stop", "shop")).status == 0
    assert (await get(shop, "/static/app.one.js")).status == 503
    assert (await shop.cli("start", "shop")).status == 0

    await shop.deploy("three", "shop")
    assert (await script(shop, "two"), await script(shop, "one")) == (
        "script of two", "nothing in three",
    )  # fmt: skip
    trees = {path.name for path in app.trees.iterdir() if path.is_dir()}
    links = {"blue", "green", "beside-blue", "beside-green"}
    assert {path.name for path in app.assets.iterdir()} == trees | links
    assert all(_is_public(path) for path in app.assets.rglob("*"))
    assert not any(path.suffix == ".assets" for path in app.trees.iterdir())


def _is_public(path: Path) -> bool:
    return path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
