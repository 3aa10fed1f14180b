"""The idle slot: hot for its time, which does not end in an operation, and started as it was."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.operations.agreement import agreement
from tests.operations.asking import ask, history_of, is_idle, status_of
from tests.operations.killing import APP
from tests.operations.test_cancel import in_phase
from tests.operations.test_hold_deploys import alone
from tests.operations.test_left_alone import API, api_pid
from tests.operations.test_recovery import power_off
from tests.ports import kernel_ports
from tests.stack import PYTHON, Stack
from tests.visits import served_version, visit
from tests.waiting import eventually

HOT = 5.0  # seconds
LONG = '[keep]\nhot = "1h"\n'
KEEP = f'[keep]\nhot = "{HOT:g}s"\n'


async def with_v1_hot(stack: Stack, keep: str = KEEP, **options: Any) -> None:
    """v2 serves from green; ``options`` are those of the next release."""
    stack.write_app(services=API, watch="0.1s", extra=keep)
    await stack.serve()
    await stack.deploy("v1")
    await begin(stack, "deployments", "v2")
    await eventually(lambda: is_idle(stack), "v2 was deployed")  # from then on the time runs
    assert stack.marker() == "green"
    stack.write_app(services=API, watch="0.1s", extra=keep, **options)
    await stack.reload()
    assert (await status_of(stack))["slots"]["blue"]["state"] == "hot"


async def begin(stack: Stack, what: str, version: str) -> None:
    """At once, while the time still runs: a command takes a while to start."""
    status, document = await ask(stack, "POST", f"{APP}/{what}", {"version": version})
    assert status == 202, document


async def blue_is_cold(stack: Stack) -> bool:
    blue = (await status_of(stack))["slots"]["blue"]
    return bool((blue["state"], blue["services"]["api"]["state"]) == ("cold", "stopped"))


async def test_a_rollback_to_a_hot_release_may_outlast_its_hot_time(empty: Stack) -> None:
    await with_v1_hot(empty, healthy_for=f"{HOT + 1:g}s")
    pid = await api_pid(empty, "blue")
    await begin(empty, "rollback", "v1")
    await eventually(lambda: is_idle(empty), "the rollback has ended")
    assert await served_version(empty) == "v1"
    assert await api_pid(empty, "blue") == pid


async def test_after_a_cancelled_rollback_the_hot_time_goes_on(empty: Stack) -> None:
    await with_v1_hot(empty, healthy_for="1m", deadline="2m")
    until = (await status_of(empty))["slots"]["blue"]["hot_until"]
    await begin(empty, "rollback", "v1")
    await in_phase(empty, "gate")
    assert (await ask(empty, "POST", f"{APP}/cancel", {}))[0] == 200
    assert (await history_of(empty))[0]["state"] == "cancelled"
    # On a host that takes so long over it, it is over by now.
    left = (await status_of(empty))["slots"]["blue"]["hot_until"]
    assert left == until or time.time() >= until
    await eventually(lambda: blue_is_cold(empty), "blue is cold, its time is over")
    assert await served_version(empty) == "v2"


async def test_a_failed_deploy_that_outlasts_the_hot_time_leaves_a_cold_slot(
    empty: Stack,
) -> None:
    await with_v1_hot(empty, deadline=f"{HOT + 1:g}s")
    await begin(empty, "deployments", "v3-unhealthy")
    await eventually(lambda: is_idle(empty), "the deploy has ended")
    assert (await history_of(empty))[0]["state"] == "failed"
    await eventually(lambda: blue_is_cold(empty), "blue is cold")
    assert (await status_of(empty))["slots"]["blue"]["version"] == "v1"
    assert await served_version(empty) == "v2"


@pytest.mark.parametrize("restarted", [False, True], ids=["reloaded", "restarted"])
async def test_what_is_hot_is_stopped_once_two_versions_never_run_at_once(
    empty: Stack, *, restarted: bool
) -> None:
    await with_v1_hot(empty, LONG)
    if restarted:
        await empty.kill()
    alone(empty, services=API, extra=LONG)
    if restarted:
        await empty.serve()
    else:
        await empty.reload()
    await eventually(lambda: blue_is_cold(empty), "blue is cold")
    assert (await status_of(empty))["switch_back"]["how"] == "start"
    await agreement(empty)
    assert await served_version(empty) == "v2"


async def test_a_service_that_was_added_comes_with_the_next_start_not_with_a_reboot(
    deployed: Stack,
) -> None:
    await deployed.deploy("v2")
    deployed.write_app(extra=ADDED.format(root=deployed.root))
    await deployed.reload()
    await power_off(deployed)
    await deployed.serve()
    await eventually(lambda: is_ready(deployed, "blue"), "v1 is hot again, without its probe")
    assert await state_of_added(deployed) == {"blue": "stopped", "green": "stopped"}
    assert (await deployed.cli("stop", "monitor")).status == 0
    answer = await deployed.cli("start", "monitor")
    assert answer.status == 1, "a probe was left out"
    assert "added command fails" in answer.out
    assert (await visit(deployed))[0] == 503
    (deployed.root / "added").touch()
    for request in (("start", "monitor"), ("switch", "back")):
        answer = await deployed.cli(*request)
        assert answer.status == 0, answer.out + answer.err
    assert (await state_of_added(deployed))["blue"] == "running"


async def test_no_slot_is_put_in_service_without_what_routes_name(deployed: Stack) -> None:
    file = deployed.layout.app_files / "monitor.toml"
    await deployed.deploy("v2")
    assert (await status_of(deployed))["switch_back"]["how"] == "instant"
    blue, green = kernel_ports(2)
    file.write_text(file.read_text() + ROUTED.format(blue=blue, green=green))
    await deployed.reload()
    status = await status_of(deployed)
    assert (status["switch_back"]["how"], status["slots"]["blue"]["ready"]) == ("start", False)
    answer = await deployed.cli("switch", "back")
    assert answer.status == 1, answer.out
    assert await served_version(deployed) == "v2"
    file.write_text(file.read_text().replace("exit 1", f"exec {PYTHON}"))
    await deployed.reload()
    answer = await deployed.cli("switch", "back")
    assert answer.status == 0, answer.err
    assert await served_version(deployed) == "v1"
    assert await state_of_added(deployed) == {"blue": "running", "green": "stopped"}


async def test_a_service_that_was_renamed_while_stopped_is_started_and_gated(empty: Stack) -> None:
    path = empty.write_app(services=("web", "api"), watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    assert (await empty.cli("stop", "monitor")).status == 0
    path.write_text(renamed(path.read_text()))
    await empty.reload()
    answer = await empty.cli("start", "monitor")
    assert answer.status == 0, answer.out + answer.err
    assert "main http /api/health passes" in answer.out
    assert await served_version(empty) == "v1"


def renamed(text: str) -> str:
    return re.sub(r'(?<=services\.)api|(?<=ports\.)api|(?<=")api(?=")', "main", text)


ROUTED = """
[services.added]
command = "sh -c 'exit 1 -m http.server --bind 127.0.0.1 {{port}}'"
ports = {{ blue = {blue}, green = {green} }}

[[routes]]
path = "/added/"
service = "added"

[[gate.probes]]
service = "added"
tcp = {{}}
"""
ADDED = """
[services.added]
command = "sleep 1000"

[[gate.probes]]
service = "added"
command = {{ run = "test -e {root}/added" }}
"""


async def is_ready(stack: Stack, slot: str) -> bool:
    return bool((await status_of(stack))["slots"][slot]["ready"])


async def state_of_added(stack: Stack) -> dict[str, str]:
    slots = (await status_of(stack))["slots"]
    return {slot: held["services"]["added"]["state"] for slot, held in slots.items()}
