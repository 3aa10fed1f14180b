"""What a daemon was doing when it was killed or told to end, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bluegreen.installation import resumption
from tests.stack import Stack, stack
from tests.visits import served_version
from tests.waiting import eventually

STOP_SECONDS = 3


@pytest.fixture
async def deployed() -> AsyncIterator[Stack]:
    """The sample app with v1 serving; a gate that takes long, and a service that stops late."""
    async with stack() as built:
        built.write_app(
            services=("api",), healthy_for="0.1s", watch="0.1s", stop_timeout=f"{STOP_SECONDS}s"
        )
        await built.serve()
        await built.deploy("v1")
        yield built


async def in_phase(stack: Stack, phase: str) -> bool:
    operation = (await stack.status())["operation"]
    return operation is not None and operation["phase"] == phase


async def listens(stack: Stack) -> bool:
    """The release in green; before that it has prepared itself for signals."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", stack.ports["monitor"][1])
    except ConnectionError:
        return False
    writer.close()
    return True


async def resumed(stack: Stack, *, is_killed: bool = True) -> list[str]:
    """What is said once the daemon was killed, or told to end, and started again."""
    before = await asyncio.to_thread(resumption.running, stack.root)
    assert len(before) == 1
    await (stack.kill() if is_killed else stack.terminate())
    await stack.serve()
    return await asyncio.to_thread(lambda: list(resumption.resume(before, stack.root)))


async def test_a_release_that_is_undone_only_by_the_next_daemon_is_resumed(
    deployed: Stack,
) -> None:
    deployed.write_app(
        services=("api",), healthy_for="8s", watch="0.1s", stop_timeout=f"{STOP_SECONDS}s"
    )
    await deployed.reload()
    # It is undone STOP_SECONDS after the next daemon is ready.
    await deployed.cli("deploy", "monitor", "v3-ignores-sigterm", "--detach")
    await eventually(lambda: in_phase(deployed, "gate"), "it is in its gate")
    await eventually(lambda: listens(deployed), "it ignores what it is told")
    (said,) = await resumed(deployed)

    newest, before, *_ = await deployed.operations()
    assert before["state"] == "interrupted"
    assert before["finished_at"] - before["created_at"] > STOP_SECONDS
    assert said == (
        "the deploy of monitor v3-ignores-sigterm was interrupted, and is resumed as operation "
        f"{newest['id']}"
    )
    assert newest["state"] == "running"


async def test_what_was_acknowledged_is_acknowledged_when_it_is_resumed(deployed: Stack) -> None:
    rule = '[[upgrade]]\nto = ">=2"\nbreaking = "tokens end"\n'
    deployed.write_app(services=("api",), healthy_for="8s", watch="0.1s", extra=rule)
    await deployed.reload()
    await deployed.cli("deploy", "monitor", "v2", "--ack", "tokens end", "--detach")
    await eventually(lambda: in_phase(deployed, "gate"), "it is in its gate")
    (said,) = await resumed(deployed)
    assert "is resumed as operation" in said
    await eventually(lambda: in_phase(deployed, "gate"), "it is in its gate again")
    newest, *_ = await deployed.operations()
    assert newest["acknowledged"] == ["tokens end"]


async def test_a_watch_that_goes_on_is_not_waited_for(deployed: Stack) -> None:
    deployed.write_app(services=("api",), healthy_for="0.1s", watch="60s")
    await deployed.reload()
    await deployed.cli("deploy", "monitor", "v2", "--detach")
    await eventually(lambda: in_phase(deployed, "watch"), "it is watched")
    assert await resumed(deployed) == []
    assert await in_phase(deployed, "watch")
    assert await served_version(deployed) == "v2"


async def test_what_is_not_undone_in_time_is_said(
    deployed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumption, "UNDONE", 0.0)
    deployed.write_app(
        services=("api",), healthy_for="8s", watch="0.1s", stop_timeout=f"{STOP_SECONDS}s"
    )
    await deployed.reload()
    await deployed.cli("deploy", "monitor", "v3-ignores-sigterm", "--detach")
    await eventually(lambda: in_phase(deployed, "gate"), "it is in its gate")
    await eventually(lambda: listens(deployed), "it ignores what it is told")
    (said,) = await resumed(deployed)
    assert said.startswith("the deploy of monitor v3-ignores-sigterm is not undone yet")
    assert "bluegreen history monitor" in said


class ToldDaemon:
    """Says that operation 7 was interrupted, and takes down what it is asked for."""

    posted: list[tuple[str, dict[str, Any]]]

    def get(self, path: str) -> dict[str, Any]:
        return {"id": 7, "kind": "rollback", "state": "interrupted", "acknowledged": []}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.posted.append((path, body))
        return {"operation": {"id": 8}} if path.endswith("/switch") else {"id": 8}


@pytest.mark.parametrize(
    ("of_it", "asked"),
    [
        ({"backup": 31}, ("rollback", {"version": "main", "restore": 31})),
        ({"of_switch": True}, ("switch", {"to": "green"})),  # which no lock hinders
        ({}, ("rollback", {"version": "main"})),
    ],
    ids=["with data", "of a switch", "plain"],
)
def test_a_rollback_is_asked_for_as_it_was(
    monkeypatch: pytest.MonkeyPatch, of_it: dict[str, Any], asked: tuple[str, dict[str, Any]]
) -> None:
    daemon = ToldDaemon()
    daemon.posted = []
    monkeypatch.setattr(resumption, "Client", lambda *_, **__: daemon)
    before = {"app": "shop", "id": 7, "kind": "rollback", "version": "main", "slot": "green"}
    (said,) = resumption.resume([before | {"backup": None, "of_switch": False} | of_it])
    assert said == "the rollback of shop main was interrupted, and is resumed as operation 8"
    assert daemon.posted == [(f"/v1/apps/shop/{asked[0]}", asked[1])]


async def out_of_service_and_starting(deployed: Stack) -> None:
    deployed.write_app(services=("api",), healthy_for="8s", watch="0.1s")
    await deployed.reload()
    assert (await deployed.cli("stop", "monitor")).status == 0
    await deployed.cli("start", "monitor", "--detach")
    await eventually(lambda: in_phase(deployed, "gate"), "it is in its gate")


async def test_a_start_that_the_end_of_the_daemon_undid_is_resumed(deployed: Stack) -> None:
    await out_of_service_and_starting(deployed)
    (said,) = await resumed(deployed, is_killed=False)

    newest, before, *_ = await deployed.operations()
    assert (before["kind"], before["state"]) == ("start", "interrupted")
    assert (newest["kind"], newest["state"]) == ("start", "running")
    assert said == (
        f"the start of monitor was interrupted, and is resumed as operation {newest['id']}"
    )


async def test_a_start_that_the_next_daemon_carries_on_is_not_waited_for(deployed: Stack) -> None:
    await out_of_service_and_starting(deployed)
    assert await resumed(deployed) == []
    newest, *_ = await deployed.operations()
    assert (newest["kind"], newest["state"]) == ("start", "running")


async def test_a_stop_that_the_end_of_the_daemon_undid_is_resumed(deployed: Stack) -> None:
    deployed.write_app(services=("api",), watch="0.1s", stop_timeout="60s")
    await deployed.reload()
    await deployed.deploy("v3-ignores-sigterm")
    await deployed.cli("stop", "monitor", "--detach")
    await eventually(lambda: in_phase(deployed, "stop"), "its services are being stopped")
    (said,) = await resumed(deployed, is_killed=False)

    newest, before, *_ = await deployed.operations()
    assert (before["kind"], before["state"]) == ("stop", "interrupted")
    assert newest["kind"] == "stop"
    assert said == (
        f"the stop of monitor was interrupted, and is resumed as operation {newest['id']}"
    )
