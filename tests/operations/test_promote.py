"""``[promote] mode = "manual"``: a release waits for a person, and nobody else."""

from __future__ import annotations

import re
import time

import pytest

from tests.operations.promoted import end_service, ended, post, seen_by, standing
from tests.operations.proxied import HOST, OVERLAP, serving, write_shop
from tests.stack import Stack

MANUAL = '\n[promote]\nmode = "manual"\ndeadline = "10m"\n'


@pytest.fixture
async def shop(empty: Stack) -> Stack:
    """``good`` serves in blue; the app file asks for a person from now on."""
    write_shop(empty)
    await empty.serve()
    await empty.deploy("good", "shop")
    path = empty.layout.app_files / "shop.toml"
    path.write_text(path.read_text() + MANUAL)
    await empty.reload()
    return empty


async def test_a_release_waits_for_a_person_over_the_end_of_daemons(shop: Stack) -> None:
    plan = await shop.cli("plan", "shop", "better")
    assert "then it waits, for 10 min at the most, for: bluegreen promote shop" in plan.out
    begun = await post(shop, "deployments", version="better")
    found = await standing(shop, "promote", slot="green")
    assert found["until"] - found["since"] == pytest.approx(600)
    assert found["since"] <= time.time() <= found["until"]
    answer = await shop.cli("status", "shop")
    assert re.search(r"it waits for a person since \d+ s ago, for ", answer.out), answer.out
    assert "bluegreen promote shop (scope switch), or: bluegreen cancel shop" in answer.out
    key = (await post(shop, "preview"))["header"]
    assert await seen_by(shop, **key) == "well better"
    busy = await shop.cli("deploy", "shop", "good")
    assert (busy.status, "`bluegreen promote shop`" in busy.err) == (4, True)

    await shop.kill()
    await shop.serve()
    assert await standing(shop, "promote") == found
    await shop.kill()
    end_service(shop, "green")  # as by a reboot: the next daemon starts it anew
    await shop.serve()
    assert await standing(shop, "promote") == found
    await shop.terminate()
    await shop.serve()
    assert await standing(shop, "promote") == found

    assert await serving(shop) == "well good"
    other = await shop.cli("promote", "shop", "99")
    assert other.status == 1
    assert "operation 99 of shop does not wait to be promoted: operation 2 (deploy " in other.err
    promoted = await shop.cli("promote", str(begun["id"]))  # of the only app
    assert promoted.status == 0, promoted.err
    assert "promoted by " in promoted.out
    operation = await ended(shop)
    assert (operation["id"], operation["state"]) == (begun["id"], "succeeded")
    assert await serving(shop) == "well better"
    refused = await shop.cli("promote", "shop")
    assert refused.status == 1
    assert "no release of shop waits to be promoted" in refused.err


async def test_what_nobody_promotes_leaves_everything_as_it_was(shop: Stack) -> None:
    await post(shop, "deployments", version="better")
    await standing(shop, "promote")
    answer = await shop.cli("cancel", "shop")
    assert answer.status == 0
    assert (await ended(shop))["state"] == "cancelled"

    await post(shop, "deployments", version="better")
    await standing(shop, "promote")
    end_service(shop, "green")
    operation = await ended(shop)
    assert operation["state"] == "failed"
    assert "service api " in operation["error"]["message"]

    path = shop.layout.app_files / "shop.toml"
    path.write_text(path.read_text().replace(MANUAL, '\n[promote]\ndeadline = "200ms"\n'))
    await shop.reload()
    late = await shop.cli("deploy", "shop", "better", "--manual")
    assert late.status == 1
    assert "nobody promoted better within 0.2 s" in late.err
    assert (await ended(shop))["error"]["kind"] == "not-promoted"
    assert await serving(shop) == "well good"
    assert (await shop.status("shop"))["slots"]["green"]["state"] == "empty"
    await shop.deploy("better", "shop")  # automatic again
    assert await seen_by(shop, Host=HOST) == "well better"


@pytest.mark.parametrize("killed", [False, True])
async def test_where_requests_would_be_held_it_waits_before_that(shop: Stack, killed: bool) -> None:
    path = shop.layout.app_files / "shop.toml"
    text = path.read_text().replace('name = "shop"', OVERLAP)
    path.write_text(text)
    await shop.reload()
    await post(shop, "deployments", version="better")
    found = await standing(shop, "promote", slot=None)
    if killed:
        await shop.kill()
        await shop.serve()
        assert await standing(shop, "promote") == found
    assert (await shop.status("shop"))["held"] is None
    assert await serving(shop) == "well good"
    await post(shop, "promote")
    operation = await ended(shop)
    assert operation["state"] == "succeeded"
    _, whole = await shop.ask("GET", f"/v1/operations/{operation['id']}")
    phases = [one["phase"] for one in whole["phases"]]
    order = ["promote", "hold", "start", "gate", "switch"]
    assert [one for one in phases if one in order] == order
    assert await serving(shop) == "well better"


async def test_a_switch_takes_its_place(shop: Stack) -> None:
    await post(shop, "deployments", version="better")
    await standing(shop, "promote")
    refused = await shop.cli("switch", "to", "green", "shop")
    assert "better in green waits to be promoted" in refused.err
    assert "Next: let it go on: bluegreen promote shop" in refused.err
    back = await shop.cli("switch", "back", "shop")
    assert "green slot holds no release to switch to" in back.err
    assert (await ended(shop))["state"] == "superseded"
    assert await serving(shop) == "well good"
