"""A plan says what a deploy would do and what is in its way, and changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from typing import Any

import pytest

from bluegreen.demo.versions import write_version
from bluegreen.model import PhaseName, PhaseRecord, PhaseState
from bluegreen.operations.planning import medians
from tests.operations.asking import ask
from tests.operations.data import OPTIONS
from tests.operations.killing import APP
from tests.operations.queued import settings
from tests.operations.test_requirements import write
from tests.operations.test_upgrade_rules import BREAKING, RULES
from tests.stack import Stack
from tests.waiting import eventually

PLAN = f"{APP}/plan?version="
# A build that ends when the test says so.
WAITING = """
[[build]]
name = "waiting"
run = "while [ ! -e {shared_dir}/go ]; do sleep 0.05; done"
"""


def state_of(stack: Stack) -> dict[str, tuple[int, int]]:
    """Every file below the root but the daemon's own log, by size and time of change."""
    found = {}
    for path in stack.root.rglob("*"):
        if path != stack.daemon_log and not path.name.startswith("bluegreen.db"):
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                if not os.path.isdir(path):
                    found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found


async def plan_of(stack: Stack, version: str) -> Any:
    status, document = await ask(stack, "GET", f"{PLAN}{version}")
    assert status == 200, document
    return document


@pytest.fixture
async def shop(empty: Stack) -> Stack:
    """Its daemon runs, and nothing is deployed; the file has upgrade rules."""
    write(empty, RULES)
    await empty.serve()
    return empty


def test_what_the_app_file_asks_for_no_more_counts_for_no_time() -> None:
    records = [
        PhaseRecord(operation=1, phase=phase, state=state, at=at)
        for phase in PhaseName
        for state, at in ((PhaseState.INTENT, 1.0), (PhaseState.DONE, 3.0))
    ]
    backup = {"sqlite": ["a.db"]}
    commands = {"check": "c", "run": "r"}
    plain = {"preflight", "fetch", "build", "start", "gate", "switch", "watch", "settle"}
    held = {"hold", "drain", "release"}
    data = {"rehearse", "backup", "migrate"}
    for tables, more in (
        ({}, set()),
        ({"backup": backup}, {"backup"}),
        ({"backup": backup, "migrations": commands}, data),
        ({"backup": backup, "migrations": commands | {"mode": "hold"}}, data | held),
        ({"app": {"name": "a", "overlap": False}}, held),
        ({"promote": {"steps": [10]}}, {"steps"}),
        ({"gate": {"unchanged": [{"command": "c"}]}}, {"measure"}),
    ):
        times = medians(records, settings(**tables))
        assert {time.phase for time in times} == plain | more, tables
        assert {time.seconds for time in times} == {2.0}


async def test_the_plan_of_a_first_release(shop: Stack) -> None:
    answer = await shop.cli("plan", "monitor", "v1")
    assert answer.status == 0, answer.err
    first, *lines = answer.out.splitlines()
    assert first.startswith("monitor: v1 (")
    assert first.endswith(") into blue, the first release")
    assert lines == [
        "  time: not known, no deploy has succeeded yet",
        "  switch back afterwards: no release has served before this one",
        "Next: bluegreen deploy monitor v1",
    ]
    assert not (shop.layout.app("monitor").cache / "git").exists()
    assert await shop.operations() == []


async def test_the_plan_of_an_upgrade_is_what_then_happens(shop: Stack) -> None:
    await shop.deploy("v1")
    before = state_of(shop)
    answer = await shop.cli("plan", "monitor", "v2", "--build")
    assert "  warning: nothing was built: --build is to ask `check` of [migrations]" in answer.out
    answer = await shop.cli("plan", "monitor", "v2")
    assert "nothing was built" not in answer.out
    assert state_of(shop) == before
    assert len(await shop.operations()) == 1
    assert answer.status == 0, answer.err
    text = answer.out
    assert text.splitlines()[0].startswith("monitor: v2 (")
    assert ") into green, over v1 (" in text
    assert "  brings 1 commit:\n" in text
    assert "2026-01-01  v2: better: says who added a server" in text
    assert f"  upgrade rule from <2 to >=2\n    breaks: {BREAKING}\n" in text
    assert 'new variable AUDIT_DAYS = "90": its default' in text
    assert "new variable AUDIT_TOKEN = ***" in text
    assert "by the last deploy:\n    preflight " in text
    assert "measure" not in text
    after = "  switch back afterwards: "
    (line,) = [line for line in text.splitlines() if line.startswith(after)]
    assert line.endswith(" in blue, for 24 h; then it is started and gated first")
    command = f"bluegreen deploy monitor v2 --ack '{BREAKING}'"
    assert text.splitlines()[-1] == f"Next: see to what it breaks, then: {command}"
    given = await shop.cli("deploy", "monitor", "v2", "--ack", BREAKING)
    assert given.status == 0, given.err
    status = await shop.status()
    assert status["switch_back"]["how"] == "instant"
    assert line.removeprefix(after).startswith(status["switch_back"]["says"])
    back = (await shop.cli("plan", "monitor", "v1")).out
    assert "  takes back 1 commit:\n" in back
    assert "leaves blue: no switch leads to it then" in back
    assert "the median of the last 2 deploys" in back
    same = (await shop.cli("plan", "monitor", "v2")).out
    assert "  commits: the same one serves\n" in same


async def test_all_that_is_in_the_way_is_told_at_once_each_with_its_remedy(shop: Stack) -> None:
    await shop.deploy("v1")
    write(
        shop, "[requires]\ncommands = { no-such-tool = '>=1' }\nenv = ['NOBODY_SETS_IT']\n" + RULES
    )
    await shop.reload()
    assert (await shop.cli("lock", "--reason", "database move")).status == 0
    port = shop.ports["monitor"][1]
    with socket.create_server(("127.0.0.1", port)):
        answer = await shop.cli("plan", "monitor", "v4", "--json")
    assert answer.status == 1
    found = answer.document["findings"]
    assert [one["kind"] for one in found][:2] == ["locked", "source"]
    said = "\n".join(one["message"] for one in found)
    assert "database move" in said
    assert "there is no tag, branch or commit v4" in said
    assert "ports of the green slot are in use by strangers" in said
    assert "no-such-tool" in said
    assert "NOBODY_SETS_IT" in said
    assert "the way from v1 to v4 is by v3" in said
    assert BREAKING not in said
    assert answer.document["commits"] is None
    assert answer.document["acknowledge"] == [BREAKING]
    assert all(one["remedy"] for one in found)
    text = await shop.cli("plan", "monitor", "v4")
    assert text.status == 1
    assert "In the way of it:\n  1. monitor is locked by " in text.out
    assert "     remedy: when it may be released again: bluegreen unlock monitor\n" in text.out
    assert text.out.splitlines()[-1].startswith("Next: see to each of them")


async def test_a_plan_is_made_while_a_deploy_runs(shop: Stack) -> None:
    await shop.deploy("v1")
    write(shop, WAITING)
    await shop.reload()
    status, _ = await ask(shop, "POST", f"{APP}/deployments", {"version": "v2"})
    assert status == 202

    async def builds() -> bool:
        operation = (await shop.status())["operation"]
        return operation is not None and operation["phase"] == "build"

    await eventually(builds, "it builds")
    plans = await asyncio.gather(*(plan_of(shop, "v2") for _ in range(3)))
    for made in plans:
        (finding,) = made["findings"]
        assert finding["kind"] == "busy"
        assert "operation 2 (deploy v2, phase build)" in finding["message"]
        assert made["commits"]["added"]["count"] == 1
    (shop.layout.app("monitor").shared / "go").touch()

    async def has_succeeded() -> bool:
        return bool((await shop.operations())[0]["state"] == "succeeded")

    await eventually(has_succeeded, "the deploy has succeeded")


async def test_directories_have_no_commits(empty: Stack) -> None:
    releases = empty.root / "releases"
    for version in ("v1", "v2"):
        await asyncio.to_thread(write_version, version, releases / version)
    empty.write_app(source=f"{releases}/{{version}}", **OPTIONS)
    await empty.serve()
    await empty.deploy("v1")
    text = (await empty.cli("plan", "v2")).out
    assert text.startswith(
        "monitor: v2 into green, over v1\n  commits: directories have no commits\n"
    )
    assert (await plan_of(empty, "v3"))["findings"][0]["kind"] == "source"


async def test_an_app_out_of_service_and_a_remote_that_is_away(shop: Stack) -> None:
    await shop.deploy("v1")
    assert (await shop.cli("stop")).status == 0
    await asyncio.to_thread(shutil.move, shop.repository, shop.root / "elsewhere.git")
    made = await plan_of(shop, "v2")
    assert made["switch_back"] == {
        "how": "impossible", "says": "out of service; bluegreen start monitor",
        "migrations": [], "backup": None, "since": None,
    }  # fmt: skip
    assert made["switch_back"] == (await shop.status())["switch_back"]
    assert "v2 is used as cached" in made["warnings"][0]


async def test_what_cannot_be_a_version_or_an_app_is_refused(shop: Stack) -> None:
    for version in ("", "--x", "refs/heads/main"):
        status, document = await ask(shop, "GET", f"{PLAN}{version}")
        assert (status, document["kind"]) == (400, "usage")
    assert (await shop.cli("plan", "other", "v1")).status == 2
    assert (await shop.cli("plan", "monitor", "v\udcff")).status == 2
    for command, what in (
        (("plan",), "VERSION"), (("deploy",), "VERSION"),
        (("migrations", "mark-applied"), "NAME"),
    ):  # fmt: skip
        answer = await shop.cli(*command, "monitor")  # the only app, and no version of it
        typed = " ".join(["bluegreen", *command])
        assert (answer.status, answer.err.splitlines()) == (2, [
            f"bluegreen: monitor is an app, and its {what} is not named",
            f"Next: {typed} monitor {what}; where monitor is a {what}, too: "
            f"{typed} monitor monitor",
        ])  # fmt: skip
    assert await shop.operations() == []
