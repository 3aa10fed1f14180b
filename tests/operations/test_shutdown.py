"""The daemon is told to end while an operation runs."""

from __future__ import annotations

import asyncio

from tests.operations.asking import history_of, status_of
from tests.stack import Stack
from tests.visits import served_version
from tests.waiting import eventually


async def test_a_deploy_in_its_gate_is_undone_at_once_though_somebody_follows_it(
    empty: Stack,
) -> None:
    # The gate is shorter than the time that open streams are given when the daemon ends.
    empty.write_app(healthy_for="1.8s", watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    before = empty.marker()
    deploying = asyncio.create_task(empty.cli("deploy", "monitor", "v2"))

    async def gated() -> bool:
        operation = (await status_of(empty))["operation"]
        return operation is not None and operation["phase"] == "gate"

    await eventually(gated, "the deploy is in its gate")
    assert await empty.terminate() == 0
    assert empty.marker() == before
    await empty.serve()
    answer = await deploying
    assert answer.status == 1, answer.out + answer.err
    assert "the daemon is stopping" in answer.err
    newest, *_ = await history_of(empty)
    assert (newest["version"], newest["state"]) == ("v2", "interrupted")
    assert await served_version(empty) == "v1"
