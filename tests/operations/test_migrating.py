"""What a daemon that comes after a crash is told of an operation's migrations."""

from __future__ import annotations

import json
from pathlib import Path

from bluegreen.migrations.nouns import MigrationPlace
from bluegreen.model import Slot
from bluegreen.operations.migrating import from_data, to_data
from bluegreen.operations.run import Migrating

KNOWN = Migrating(
    place=MigrationPlace(version="v2", slot=Slot.GREEN, tree=Path("/srv/trees/12-green")),
    pending=("0001_audit_logs",),
    schema={"data/app.db": {"table users": "CREATE TABLE users (name)"}},
    backup=12,
    rehearsed_seconds=1.25,
)


def test_it_is_read_as_it_was_written() -> None:
    assert from_data(json.loads(json.dumps(to_data(KNOWN)))) == KNOWN
    assert from_data(json.loads(json.dumps(to_data(Migrating())))) == Migrating()


def test_what_an_older_daemon_has_written_says_nothing_of_the_rehearsal() -> None:
    data = to_data(KNOWN)
    del data["rehearsed_seconds"]
    assert from_data(data).rehearsed_seconds is None
