"""A way back whose services have crashed since their gate has to prove itself once more."""

from __future__ import annotations

from typing import Any

from bluegreen.model import Slot
from tests.operations.asking import ask, history_of
from tests.operations.killing import kill_service
from tests.stack import Stack
from tests.visits import served_version
from tests.waiting import eventually

API = ("api",)
HEALTHY_FOR = 1.5  # seconds


async def test_a_slot_that_crashed_is_started_anew_and_gated_as_configured(empty: Stack) -> None:
    empty.write_app(services=API, watch="0.1s", healthy_for=f"{HEALTHY_FOR}s")
    await empty.serve()
    await empty.deploy("v1")
    await empty.deploy("v2")
    idle = Slot(empty.marker()).other

    async def service() -> Any:
        return (await empty.status())["slots"][idle]["services"]["api"]

    kill_service(empty, idle, "api")

    async def runs_again() -> bool:
        now = await service()
        return bool(now["state"] == "running" and now["restarts"] == 1)

    await eventually(runs_again, "the idle API was restarted")
    crashed = (await service())["pid"]
    answer = await empty.cli("switch", "back")
    assert answer.status == 0, answer.err
    assert await served_version(empty) == "v1"
    now = await service()
    assert now["pid"] != crashed
    assert now["restarts"] == 0
    newest = (await history_of(empty))[0]
    _, operation = await ask(empty, "GET", f"/v1/operations/{newest['id']}")
    [gate] = [phase for phase in operation["phases"] if phase["phase"] == "gate"]
    assert gate["seconds"] >= HEALTHY_FOR
