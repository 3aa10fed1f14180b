"""Releases that answer well at their own address have to do so through nginx too."""

from __future__ import annotations

import pytest

from tests.operations.proxied import (
    HOST,
    LONG,
    OVERLAP,
    SHORT,
    STEP,
    keys,
    serving,
    take_up,
    write_shop,
)
from tests.stack import Stack
from tests.waiting import eventually


@pytest.fixture
async def shop(empty: Stack) -> Stack:
    """``good`` serves; what does not pass its gate is given up soon."""
    write_shop(empty, STEP)
    await empty.serve()
    await empty.deploy("good", "shop")
    await take_up(empty, LONG, SHORT)
    return empty


async def test_a_release_that_breaks_only_behind_nginx_gets_no_traffic(shop: Stack) -> None:
    for version, said in {
        "refuses-the-host": "http /health through nginx: HTTP 400: not my host",
        "wants-another-scheme": "http /health through nginx: HTTP 301",
        "breaks-behind-a-proxy": "http /health through nginx: HTTP 500",
        "sells-nothing-behind-a-proxy": "smoke POST /buy through nginx: HTTP 500",
    }.items():
        answer = await shop.cli("deploy", "shop", version)
        assert answer.status == 1
        assert said in answer.err
        assert f"with Host: {HOST}; at its own address it had passed" in answer.err
        assert "Next: Nothing was switched." in answer.err
        assert await serving(shop) == "well good"
        assert keys(shop) == []


async def test_the_first_release_is_asked_through_nginx_too_and_no_key_is_left_anywhere(
    empty: Stack,
) -> None:
    write_shop(empty, STEP)
    await empty.serve()
    answer = await empty.deploy("good", "shop")
    assert "http /health through nginx passes" in answer.out
    assert "smoke POST /buy through nginx passes" in answer.out
    assert " tcp passes" not in answer.out
    assert keys(empty) == []
    slot = (empty.layout.app("shop").slots / "blue").resolve()
    requests = (slot / "seen.log").read_text().splitlines()
    assert "POST /buy HTTP/1.1 - - 127.0.0.1" in requests
    assert all(line.split(" ")[3:5] == ["-", "-"] for line in requests)


async def test_it_may_be_left_out(empty: Stack) -> None:
    write_shop(empty, **{"[gate]": "[gate]\nthrough_nginx = false"})
    await empty.serve()
    await empty.deploy("refuses-the-host", "shop")
    assert (await serving(empty)) == "not my host"


async def test_the_routes_of_a_snippet_are_asked_without_the_server_around_them(
    empty: Stack,
) -> None:
    write_shop(empty, **{"[nginx]": '[nginx]\nmode = "snippet"'})
    own = empty.layout.config / "nginx" / "shop.conf"
    own.parent.mkdir(parents=True)
    snippet = empty.layout.nginx / "snippets" / "shop.server.conf"
    own.write_text(
        f"server {{ listen 127.0.0.1:{empty.listen['shop']}; allow 127.0.0.2; deny all;"
        f" include {snippet}; }}"
    )
    await empty.serve()
    answer = await empty.deploy("good", "shop")
    assert "http /health through nginx passes" in answer.out
    await take_up(empty, LONG, SHORT)
    answer = await empty.cli("deploy", "shop", "refuses-the-host")
    assert answer.status == 1
    assert "http /health through nginx: HTTP 400: not my host" in answer.err


async def test_a_release_is_asked_past_a_hold(empty: Stack) -> None:
    write_shop(empty, **{'name = "shop"': OVERLAP})
    await empty.serve()
    await empty.deploy("good", "shop")
    await take_up(empty, LONG, SHORT)
    answer = await empty.cli("deploy", "shop", "breaks-behind-a-proxy")
    assert answer.status == 1
    assert "http /health through nginx: HTTP 500" in answer.err
    assert await serving(empty) == "well good"
    await take_up(empty, SHORT, LONG)
    answer = await empty.deploy("good", "shop")
    assert "http /health through nginx passes" in answer.out
    assert keys(empty) == []


async def test_a_daemon_that_is_killed_leaves_no_key_that_counts(shop: Stack) -> None:
    command = await shop.start_cli("deploy", "shop", "breaks-behind-a-proxy")
    await eventually(lambda: len(keys(shop)) == 1, "the gate asks through nginx")
    await shop.kill()
    assert len(keys(shop)) == 1
    await shop.serve()
    assert keys(shop) == []
    await command.communicate()
    assert await serving(shop) == "well good"


async def test_what_another_server_of_nginx_answers_is_no_answer_of_the_release(
    empty: Stack,
) -> None:
    write_shop(empty, **{HOST: "*.shop.test", LONG: SHORT})
    own = empty.layout.config / "nginx" / "other.conf"
    own.parent.mkdir(parents=True)
    own.write_text(
        f"server {{ listen 127.0.0.1:{empty.listen['shop']}; server_name www.shop.test;"
        ' location / { return 200 "well, but another, $http_x_bluegreen_preview"; } }'
    )
    await empty.serve()
    answer = await empty.cli("deploy", "shop", "good")
    assert answer.status == 1
    assert "through nginx: something else answered" in answer.err
