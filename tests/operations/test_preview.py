"""``bluegreen preview``: the idle slot seen through the site, for a time."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.marks import marker_names
from tests.operations.promoted import post
from tests.operations.proxied import HOST, keys, serving, write_shop
from tests.stack import Stack
from tests.traffic.client import Reply, ask
from tests.waiting import eventually

NEXT = "next.shop.test"
OWN_NAME = f"""
[preview]
server_name = ["{NEXT}"]
allow = ["10.0.0.0/8", "127.0.0.1"]
"""


@pytest.fixture
async def shop(empty: Stack) -> Stack:
    """``good`` is hot in blue, and ``better`` serves in green."""
    write_shop(empty, OWN_NAME)
    await empty.serve()
    await empty.deploy("good", "shop")
    await empty.deploy("better", "shop")
    return empty


async def issue(stack: Stack, *options: str) -> Any:
    answer = await stack.cli("preview", "shop", "--json", *options)
    assert answer.status == 0, answer.err
    return answer.document


async def see(stack: Stack, headers: dict[str, str]) -> Reply:
    return await ask(stack.listen["shop"], headers={"Host": HOST, **headers})


async def test_link_and_header_lead_to_the_idle_slot(shop: Stack) -> None:
    began = time.time()
    found = await issue(shop, "--for", "10m")
    assert (found["app"], found["slot"], found["version"]) == ("shop", "blue", "good")
    assert began + 590 < found["until"] < time.time() + 610
    assert (await see(shop, found["header"])).body == "well good"
    assert await serving(shop) == "well better"
    site = f"http://{HOST}:{shop.listen['shop']}"
    assert found["link"] == site + found["path"]
    own = f"http://{NEXT}:{shop.listen['shop']}"
    allow = ["10.0.0.0/8", "127.0.0.1/32"]
    assert found["own"] == {"site": own, "link": own + found["path"], "allow": allow}
    for host in (HOST, NEXT):
        link = await ask(shop.listen["shop"], found["path"], headers={"Host": host})
        cookie = link.headers["set-cookie"].partition(";")[0]
        assert (await see(shop, {"Cookie": cookie, "Host": host})).body == "well good"


async def test_it_is_said_in_words_and_the_key_nowhere_else(shop: Stack) -> None:
    answer = await shop.cli("preview", "shop")
    assert answer.out.startswith("shop: good in blue, until ")
    (name,) = keys(shop)
    key = name.partition("-")[2]
    assert f"  header: X-Bluegreen-Preview: {key}\n" in answer.out
    own = f"http://{NEXT}:{shop.listen['shop']}"
    assert f"  or:     {own}/.bluegreen/shop/preview/{key}\n" in answer.out
    assert f"          {own}, without a key from 10.0.0.0/8, 127.0.0.1/32\n" in answer.out
    await see(shop, {"X-Bluegreen-Preview": key})
    await shop.terminate()
    elsewhere = [
        path
        for path in shop.root.rglob("*")
        if path.is_file() and key.encode() in path.read_bytes()
    ]
    assert elsewhere == []


async def test_previews_end_by_their_time_by_command_and_over_a_restart(shop: Stack) -> None:
    markers = shop.layout.app("shop").traffic
    assert marker_names(markers) == {"green"}
    short = await issue(shop, "--for", "1s")
    long = await issue(shop)
    await eventually(lambda: len(keys(shop)) == 1, "the short one has ended")
    assert (await see(shop, short["header"])).body == "well better"
    assert (await see(shop, long["header"])).body == "well good"
    # At once: a command takes a while to end.
    short = await post(shop, "preview", seconds=3)
    await shop.kill()
    await eventually(lambda: time.time() > short["until"], "its time is over without a daemon")
    assert len(keys(shop)) == 2
    await shop.serve()
    assert len(keys(shop)) == 1
    assert marker_names(markers) == {"green", "previews"}
    assert (await see(shop, long["header"])).body == "well good"
    answer = await shop.cli("preview", "shop", "--revoke")
    assert answer.out == "shop: 1 preview ended\n"
    assert keys(shop) == []
    assert not (markers / "special").exists()
    assert (await see(shop, long["header"])).body == "well better"
    assert (await shop.cli("preview", "shop", "--revoke")).out == "shop: no preview to end\n"


async def test_what_cannot_be_seen_is_refused(empty: Stack) -> None:
    write_shop(empty)
    await empty.serve()
    answer = await empty.cli("preview", "shop")
    assert answer.status == 1
    assert "holds no release to be seen" in answer.err
    assert "Next: bluegreen deploy shop VERSION" in answer.err
    await empty.deploy("good", "shop")
    await empty.deploy("better", "shop")
    await empty.cli("stop", "shop")
    answer = await empty.cli("preview", "shop")
    assert answer.status == 1
    assert "good in the idle slot blue does not run" in answer.err
    for time_, said in {"x": "is no time", "0s": "more than 0s", "8d": "at most 168 h"}.items():
        answer = await empty.cli("preview", "shop", "--for", time_)
        assert answer.status == 2
        assert said in answer.err
