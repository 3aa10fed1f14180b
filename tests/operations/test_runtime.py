"""What an app's runtime answers of its slots, without an app."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

from bluegreen.model import Hold, Slot, Traffic
from bluegreen.operations.runtime import AppRuntime


def test_of_a_slot_that_runs_no_page_reads_a_marker_to_tell_whether_it_is_paused() -> None:
    """A page of 200 apps asks four times of each, every two seconds."""
    looked: list[str] = []
    hold = Hold(since=0.0, until=time.time() + 60, by="deploy", operation=7)

    def read(app: str) -> Traffic:
        looked.append(app)
        return Traffic(active=Slot.BLUE, closed=False, held=hold)

    parts = SimpleNamespace(traffic=SimpleNamespace(read=read))
    app = cast("Any", SimpleNamespace(name="shop", parts=parts, is_stopped=lambda _: False))
    assert not AppRuntime.is_paused(app, Slot.BLUE)
    assert looked == []
    app.is_stopped = lambda _: True
    assert AppRuntime.is_paused(app, Slot.BLUE)
    assert looked == ["shop"]
