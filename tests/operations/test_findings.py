"""What is in the way of a release, where a busy host does not say it in time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.errors import PreflightError
from bluegreen.layout import Layout
from bluegreen.model import Slot, SlotRecord
from bluegreen.operations import findings
from bluegreen.operations.runtime import AppRuntime
from tests.slots.sources import settings_with


async def test_whose_a_port_is_that_nobody_says_in_time_is_no_defect(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(findings, "examine", silent)
    parts = cast("Any", SimpleNamespace(layout=Layout(root), supervisor=None))
    slots = {slot: SlotRecord(app="shop", slot=slot) for slot in Slot}
    app = AppRuntime(settings=settings_with(), parts=parts, slots=slots)
    said = "shop: it could not be told within 5 s who listens on 127.0.0.1:9083"
    with pytest.raises(PreflightError, match=said):  # in the phase start
        await findings.strangers(app, Slot.BLUE)
    assert [error.message for error in await findings._ports(app, Slot.BLUE)] == [said]
