"""An operation is cancelled, or a switch back takes its place, in every phase."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.operations.asking import ask, status_of
from tests.operations.killing import APP
from tests.operations.test_releases import visitors
from tests.stack import Stack
from tests.visits import served_version
from tests.waiting import eventually

# The build goes on once there is such a file.
BUILD = """
[[build]]
name = "slow"
run = "until [ -e {go} ]; do sleep 0.02; done"
"""


@pytest.fixture
async def slow(empty: Stack) -> Stack:
    """v1 and v2 were deployed; a third release is built until told, and watched for long.

    ``go_on`` tells.
    """
    empty.write_app(healthy_for="0.1s", watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    await empty.deploy("v2")
    await configure(empty, healthy_for="0.1s")
    return empty


async def configure(stack: Stack, **gate: Any) -> None:
    stack.write_app(watch="60s", extra=BUILD.format(go=stack.root / "go"), **gate)
    await stack.reload()


def go_on(stack: Stack) -> None:
    (stack.root / "go").touch()


async def to_a_long_gate(stack: Stack) -> None:
    """What is built next comes there, and does not pass it before it is met."""
    await configure(stack, healthy_for="60s", deadline="2m")
    go_on(stack)


async def phase_of(stack: Stack) -> Any:
    operation = (await status_of(stack))["operation"]
    return None if operation is None else operation["phase"]


async def in_phase(stack: Stack, phase: str) -> None:
    async def there() -> bool:
        return bool(await phase_of(stack) == phase)

    await eventually(there, f"the operation is in {phase}")


@pytest.mark.parametrize("phase", ["build", "gate"])
async def test_a_deploy_cancelled_before_its_switch_leaves_everything(
    slow: Stack, phase: str
) -> None:
    before = slow.marker()
    if phase != "build":
        await to_a_long_gate(slow)
    async with visitors(slow):
        deploying = asyncio.create_task(slow.cli("deploy", "monitor", "v3-slow-stop"))
        await in_phase(slow, phase)
        assert (await ask(slow, "POST", f"{APP}/cancel", {}))[0] == 200
        answer = await deploying
    assert answer.status == 1
    assert "cancelled" in answer.out
    assert slow.marker() == before
    assert await served_version(slow) == "v2"

    async def hot_again() -> bool:
        slot = (await slow.status())["slots"]["green" if before == "blue" else "blue"]
        return bool(slot["ready"] and slot["version"] == "v1")

    await eventually(hot_again, "the slot beside holds v1, hot, as before")
    assert (await slow.cli("switch", "back")).status == 0
    assert await served_version(slow) == "v1"


async def test_a_deploy_cancelled_in_the_watch_goes_on_serving(slow: Stack) -> None:
    go_on(slow)
    deploying = asyncio.create_task(slow.cli("deploy", "monitor", "v1"))
    await in_phase(slow, "watch")
    assert (await slow.cli("cancel", "monitor")).status == 0
    assert (await deploying).status == 1
    assert await served_version(slow) == "v1"
    newest, *_ = await slow.operations()
    assert newest["state"] == "cancelled"


async def test_a_switch_back_in_the_build_is_instant_and_interrupts_it(slow: Stack) -> None:
    before = slow.marker()
    async with visitors(slow):
        deploying = asyncio.create_task(slow.cli("deploy", "monitor", "v3-slow-stop"))
        await in_phase(slow, "build")
        answer = await slow.cli("switch", "back", "--json")
        assert answer.status == 0, answer.err
        assert await served_version(slow) == "v1"
    assert (await deploying).status == 1
    assert slow.marker() != before
    kinds = [(o["kind"], o["state"]) for o in (await slow.operations())[:2]]
    assert kinds == [("switch", "succeeded"), ("deploy", "superseded")]


async def test_a_switch_back_in_the_gate_brings_the_old_release_back(slow: Stack) -> None:
    await to_a_long_gate(slow)
    async with visitors(slow):
        deploying = asyncio.create_task(slow.cli("deploy", "monitor", "v3-slow-stop"))
        await in_phase(slow, "gate")
        status, answer = await ask(slow, "POST", f"{APP}/switch", {"to": "back"})
        assert status == 200, answer
        assert await served_version(slow) == "v1"
    assert (await deploying).status == 1


async def test_a_switch_back_in_the_watch_takes_the_release_back(slow: Stack) -> None:
    go_on(slow)
    async with visitors(slow):
        deploying = asyncio.create_task(slow.cli("deploy", "monitor", "v1"))
        await in_phase(slow, "watch")
        assert (await slow.cli("switch", "back")).status == 0
        answer = await deploying
    assert answer.status == 5
    assert await served_version(slow) == "v2"


async def test_cancel_without_an_operation_says_so(deployed: Stack) -> None:
    answer = await deployed.cli("cancel", "monitor")
    assert answer.status == 1
    assert "no operation" in answer.err
