"""What waits, on a real daemon: shown, behind what a person does, and ended with its app."""

from __future__ import annotations

import time

from bluegreen.config.windows import DAYS
from tests.operations.asking import history_of, status_of
from tests.operations.beside import add, post
from tests.stack import Stack
from tests.waiting import eventually

SERIAL = '[queue]\npolicy = "serial"\n'


async def in_gate(stack: Stack, operation: int) -> bool:
    running = (await status_of(stack))["operation"]
    return running is not None and (running["id"], running["phase"]) == (operation, "gate")


async def test_what_waits_is_shown_and_never_undoes_what_a_person_does(deployed: Stack) -> None:
    stack = deployed
    in_three_days = DAYS[(time.localtime().tm_wday + 3) % 7]
    window = f'[promote]\nwindow = "{in_three_days} 09:00-16:00"\n'
    stack.write_app(watch="0.3s", extra=SERIAL + window)
    await stack.reload()
    await post(stack, "lock", reason="not yet")
    unhealthy, second = await add(stack, "v3-unhealthy"), await add(stack, "v2")
    await post(stack, "unlock")
    await eventually(lambda: waits(stack, 2), "both are known")
    shown = (await stack.cli("status")).out
    assert f"waiting: operation {unhealthy}, v3-unhealthy, since" in shown
    assert f"it waits until the window opens ({in_three_days} 09:00-16:00)" in shown
    assert f"it waits behind operation {unhealthy} (v3-unhealthy)" in shown

    by_hand = await stack.deploy("v2")
    assert f"begun outside of the window ({in_three_days} 09:00-16:00)" in by_hand.out
    assert await waits(stack, 2), "in series, all wait on"

    stack.write_app(watch="0.3s", extra=SERIAL)
    await stack.reload()
    await eventually(lambda: in_gate(stack, unhealthy), "without a window it begins")
    back = await stack.cli("switch", "back")
    assert back.status == 0, back.err
    await eventually(lambda: ended_but_one(stack), "what ran has ended")
    status = await status_of(stack)
    assert status["slots"][status["active"]]["version"] == "v1"
    assert status["queue"]["paused"]["kind"] == "switch"
    (left,) = status["queue"]["waiting"]
    assert (left["id"], left["why"].split(" by ")[0]) == (second, "since the switch")
    ended = {one["id"]: one["state"] for one in await history_of(stack)}
    assert (ended[unhealthy], ended[second]) == ("superseded", "queued")

    cancelled = await stack.cli("cancel", "monitor", str(second))
    assert f"monitor: operation {second} cancelled" in cancelled.out
    assert "before it began" in (await stack.cli("history")).out
    assert (await stack.cli("resume", "--json")).document == {"app": "monitor"}
    again = await stack.cli("resume")
    assert again.status == 1
    assert "do not wait for a person" in again.err

    await post(stack, "lock", reason="not yet")
    gone = await add(stack, "v2")
    assert (await stack.cli("stop")).status == 0
    (stack.layout.app_files / "monitor.toml").unlink()
    await stack.reload()
    (newest, *_) = [one for one in await history_of(stack) if one["id"] == gone]
    assert newest["state"] == "cancelled"
    assert newest["error"]["message"] == "monitor was removed before its turn came"


async def waits(stack: Stack, count: int) -> bool:
    return len((await status_of(stack))["queue"]["waiting"]) == count


async def ended_but_one(stack: Stack) -> bool:
    status = await status_of(stack)
    return status["operation"] is None and len(status["queue"]["waiting"]) == 1
