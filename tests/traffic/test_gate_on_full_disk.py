"""What answers for held requests, where there is no room to start it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.errors import TrafficError
from bluegreen.layout import Layout
from bluegreen.traffic.gate import OwnGate
from tests.mounts import full


async def test_it_is_room_that_is_asked_for(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for directory in (layout.run, layout.logs, layout.gate_record.parent):
        directory.mkdir(parents=True, exist_ok=True)
    gate = OwnGate(layout)
    with full(layout.gate_record.parent):
        try:
            with pytest.raises(TrafficError, match="No space left") as refused:
                await gate.be_ready()
        finally:
            await gate.close(stop=True)
    assert refused.value.remedy.startswith("free some space")
