"""What bluegreen remembers, in one SQLite file: operations, phases, events, slots and locks."""

from __future__ import annotations

from bluegreen.store.database import set_aside
from bluegreen.store.failures import DuplicateKeyError, StoreCorruptError
from bluegreen.store.store import Store

__all__ = ["DuplicateKeyError", "Store", "StoreCorruptError", "set_aside"]
