"""Whether what a trigger asks for is to be done at all."""

from __future__ import annotations

import pytest

from bluegreen.errors import RefusedError
from bluegreen.model import (
    Lane,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseState,
    Release,
    Slot,
)
from bluegreen.operations.phases.fetch import Fetch
from bluegreen.operations.run import Interruption, Run
from bluegreen.operations.triggers import refuse_failed
from tests.operations.queued import PERSON, QueuedDesk
from tests.waiting import eventually


async def test_what_is_done_already_is_answered_with_its_operation(queued: QueuedDesk) -> None:
    queued.commits["v2"] = "2" * 40
    first = await queued.trigger("v2")
    assert (await queued.trigger("v2")).said == "operation 1 deploys v2 already"
    await queued.trigger("v3")
    waits = await queued.trigger("v3")
    assert waits.said == "operation 2 waits to deploy v3 already"
    await queued.desk.cancel_one("a", 2, PERSON)
    assert await queued.ended(first.operation) is OperationState.SUCCEEDED
    for same in (await queued.trigger("v2"), await queued.trigger("2222222")):
        assert same.said == "v2 (2222222222) serves already"
        assert same.operation is not None
        assert same.operation.id == 1
    assert len(await queued.states()) == 2


async def test_what_a_person_deploys_is_waited_for_as_it_is_not_begun_again(
    queued: QueuedDesk,
) -> None:
    await queued.desk.deploy("a", "v2", PERSON)
    waits = await queued.trigger("v2")
    assert waits.said == "operation 2 (v2) waits behind operation 1 (deploy v2) by uid 1 (ann)"
    run = queued.desk.running("a")
    assert run is not None
    run.interrupt(Interruption.SHUTDOWN)
    assert await queued.ended(waits.operation) is OperationState.SUCCEEDED
    assert await queued.states() == [("v2", "interrupted"), ("v2", "succeeded")]
    await queued.desk.deploy("a", "v3", PERSON)
    await queued.trigger("v3")
    assert (await queued.settled())[-2:] == [("v3", "succeeded"), ("v3", "superseded")]
    # The interrupted one may have come as far, too.
    assert queued.began in (["v2", "v3"], ["v2", "v2", "v3"])
    await eventually(lambda: queued.desk.running("a") is None, "nothing runs")
    queued.configure(queue={"policy": "refuse"})
    await queued.desk.deploy("a", "v4", PERSON)
    assert (await queued.trigger("v4")).said == "operation 5 deploys v4 already"


async def test_a_tag_without_a_number_that_two_deliveries_name_is_deployed_once(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued.commits["stable"] = "a" * 40
    await queued.trigger("stable")
    await queued.builds("stable")
    run = queued.desk.running("a")
    assert run is not None
    run.recorded[PhaseName.FETCH] = PhaseState.DONE
    second = await queued.trigger("stable")  # it may be a branch, and have moved
    assert second.said.startswith("operation 2 (stable) waits behind operation 1")

    async def resolve(_: Fetch, run: Run) -> Release:
        return fetched(run.operation.version or "", "a" * 40)

    monkeypatch.setattr(Fetch, "_resolve", resolve)
    monkeypatch.setattr("bluegreen.operations.queue.phases_of", lambda *_, **__: [Fetch()])
    assert await queued.settled() == [("stable", "succeeded"), ("stable", "superseded")]
    operation = await queued.store.operation(2)
    assert operation.error is not None
    assert operation.error.message == "a: stable (aaaaaaaaaa) serves already, by operation 1"
    assert operation.commit is None


async def test_a_branch_may_be_another_release_each_time(queued: QueuedDesk) -> None:
    queued.commits["main"] = "a" * 40
    for _ in range(2):
        assert await queued.ended((await queued.trigger("main")).operation) == "succeeded"
    same = await queued.trigger("main", commit="A" * 40)
    assert same.said == "main (aaaaaaaaaa) serves already"
    assert (await queued.trigger("main", commit="b" * 40)).operation is not None


async def test_a_branch_that_failed_at_one_commit_is_tried_at_another(
    queued: QueuedDesk,
) -> None:
    queued.commits["main"] = "a" * 40
    queued.broken.add("main")
    assert await queued.ended((await queued.trigger("main")).operation) == "failed"
    refused = await queued.trigger("main", commit="a" * 40)
    assert "failed in operation 1" in refused.said
    # Where the trigger does not know the commit, the fetch does.
    with pytest.raises(RefusedError, match="failed in operation 1") as known:
        await refuse_failed(queued.app, fetched("main", "a" * 40))
    assert "bluegreen deploy a main" in known.value.remedy
    await refuse_failed(queued.app, fetched("main", "b" * 40))
    queued.broken.clear()
    queued.commits["main"] = "b" * 40
    again = await queued.trigger("main", commit="b" * 40)
    assert await queued.ended(again.operation) == "succeeded"


def fetched(version: str, commit: str) -> Release:
    return Release(app="a", version=version, commit=commit, origin="test")


async def test_what_has_failed_is_tried_again_by_a_person_alone(queued: QueuedDesk) -> None:
    queued.commits["v2"] = "2" * 40
    queued.broken.add("v2")
    assert await queued.ended((await queued.trigger("v2", key="1")).operation) == "failed"
    for refused in (await queued.trigger("v2", key="2"), await queued.trigger("2222222222")):
        assert refused.operation is None
        assert "failed in operation 1 (it broke), and is not tried again" in refused.said
        assert "bluegreen deploy a" in refused.said
    again = await queued.trigger("v2", key="1")
    assert again.operation is not None
    assert again.operation.state is OperationState.FAILED
    queued.broken.clear()
    assert await queued.ended(await queued.desk.deploy("a", "v2", PERSON)) == "succeeded"
    assert (await queued.trigger("v2")).said.endswith("serves already")


async def test_what_was_switched_back_is_not_tried_again_by_a_trigger(queued: QueuedDesk) -> None:
    watched = await queued.store.create_operation(
        app="a", kind=OperationKind.DEPLOY, lane=Lane.RELEASE, version="v2", slot=Slot.GREEN,
        from_slot=Slot.BLUE, requested_by=PERSON, first_phase=PhaseName.BUILD,
    )  # fmt: skip
    await queued.store.finish_operation(watched.id, OperationState.ROLLED_BACK)
    refused = await queued.trigger("v2")
    assert refused.operation is None
    assert "v2 was switched back in operation 1, and is not tried again" in refused.said


async def test_an_attempt_that_never_came_to_its_build_says_nothing_of_the_release(
    queued: QueuedDesk,
) -> None:
    queued.missing.add("v2")
    assert await queued.ended((await queued.trigger("v2")).operation) == "failed"
    queued.missing.clear()
    assert await queued.ended((await queued.trigger("v2")).operation) == "succeeded"


async def test_a_late_delivery_of_an_older_version_takes_no_newer_ones_place(
    queued: QueuedDesk,
) -> None:
    await queued.ended((await queued.trigger("v2.10")).operation)
    late = await queued.trigger("v2.9")
    assert late.operation is None
    assert late.said.startswith("a: v2.9 is older than v2.10, which serves; a person may")
    await queued.trigger("v3")
    await queued.trigger("v5")
    later = await queued.trigger("v4")
    assert later.operation is None
    assert later.said == "a: v4 is older than v5, which waits already"
    assert (await queued.settled())[-1] == ("v5", "succeeded")


async def test_what_is_older_by_the_time_of_its_turn_is_not_begun(queued: QueuedDesk) -> None:
    queued.configure(queue={"policy": "serial"})
    for version in ("v3", "v2"):
        await queued.trigger(version)
    assert await queued.settled() == [("v3", "succeeded"), ("v2", "superseded")]
    error = (await queued.store.operation(2)).error
    assert error is not None
    assert "as its turn came, nothing was left to do: v2 is older than v3" in error.message
