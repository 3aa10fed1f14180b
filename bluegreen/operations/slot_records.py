"""A slot record as JSON data, for the intents that must be able to restore it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bluegreen.model import Slot, SlotRecord, SlotState
from bluegreen.store.slots import as_started


def record_to_data(record: SlotRecord) -> dict[str, Any]:
    return {**asdict(record), "tree": str(record.tree) if record.tree is not None else None}


def record_from_data(data: dict[str, Any]) -> SlotRecord:
    return SlotRecord(
        **{
            **data,
            "slot": Slot(data["slot"]),
            "state": SlotState(data["state"]),
            "services": as_started(data["services"]),
            # An intent of an older daemon has none.
            "exclusive": None if data.get("exclusive") is None else tuple(data["exclusive"]),
            "tree": Path(data["tree"]) if data["tree"] is not None else None,
        }
    )
