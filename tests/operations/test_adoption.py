"""What a daemon finds again at its start, of what an earlier one has left running."""

from __future__ import annotations

from bluegreen.model import Share, Slot, SlotRecord, SlotState
from bluegreen.operations.adoption import units_that_may_run
from bluegreen.traffic.markers import Markers
from tests.operations.queued import QueuedDesk


async def test_a_refused_release_whose_clients_could_not_be_led_back_runs_on_for_them(
    queued: QueuedDesk,
) -> None:
    app = queued.app
    app.slots = {
        slot: SlotRecord(
            app="a", slot=slot, state=state, version="v1", tree=app.trees.path(1, slot),
            services={"s": 1},
        )
        for slot, state in ((Slot.BLUE, SlotState.HOT), (Slot.GREEN, SlotState.COLD))
    }  # fmt: skip
    app.layout.traffic.mkdir(parents=True)
    markers = Markers(app.layout.traffic)
    (app.layout.traffic / "blue").touch()

    async def found() -> list[str]:
        return [str(unit.key) for unit in await units_that_may_run([app])]

    assert await found() == ["a.blue.s"]
    markers.grow_share(Share(slot=Slot.GREEN, percent=10))
    assert await found() == ["a.blue.s", "a.green.s"]
    markers.end_share()
    assert await found() == ["a.blue.s"]
