"""The files that name the running processes."""

from __future__ import annotations

import dataclasses
import logging
import stat
from pathlib import Path

import pytest

from bluegreen.model import Job, ServiceUnit, Slot, UnitKey
from bluegreen.processes import ProcessIdentity, Session
from bluegreen.supervisors.records import ProcessRecord, ProcessRecords, definition_digest

UNIT = ServiceUnit(
    key=UnitKey(app="shop", slot=Slot.GREEN, service="api"),
    argv=("serve",),
    cwd=Path("/srv"),
    env={"SECRET": "swordfish"},
    stop_timeout=10,
    log_file=Path("/log"),
)
RECORD = ProcessRecord(
    session=Session(
        leader=ProcessIdentity(pid=7, start_ticks=8, boot_id="boot"), invocation="ab" * 16
    ),
    key=UNIT.key,
    name="shop.green.api",
    definition=definition_digest(UNIT),
    stop_timeout=10,
    started_at=1.5,
)
JOB = dataclasses.replace(RECORD, key=None, name="../build: “é”" + "x" * 300)


def test_what_is_written_is_loaded(root: Path) -> None:
    records = ProcessRecords(root / "processes")
    assert records.load() == []
    records.write(RECORD)
    records.write(JOB)
    assert sorted(records.load(), key=repr) == sorted([RECORD, JOB], key=repr)
    second = dataclasses.replace(RECORD, key=dataclasses.replace(UNIT.key, instance=2))
    records.write(second)
    assert {record.key for record in records.load()} == {RECORD.key, second.key, None}
    records.remove(second)
    records.remove(RECORD)
    records.remove(RECORD)
    assert records.load() == [JOB]


def test_a_record_tells_no_secret_and_is_private(root: Path) -> None:
    records = ProcessRecords(root)
    records.write(RECORD)
    path = root / "unit-shop.green.api.json"
    assert "swordfish" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1}'])
def test_a_damaged_record_is_removed_with_a_warning(
    root: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "unit-x.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert ProcessRecords(root).load() == []
    assert "unit-x.json is damaged" in caplog.text
    assert list(root.iterdir()) == []


def test_a_half_written_record_is_removed(root: Path) -> None:
    (root / ".unit-x.json.0a0b.tmp").write_text("{")
    assert ProcessRecords(root).load() == []
    assert list(root.iterdir()) == []


def test_the_definition_is_command_directory_and_environment() -> None:
    digest = definition_digest(UNIT)
    assert definition_digest(dataclasses.replace(UNIT, stop_timeout=1)) == digest
    for change in (
        dataclasses.replace(UNIT, argv=("serve", "--more")),
        dataclasses.replace(UNIT, cwd=Path("/")),
        dataclasses.replace(UNIT, env={"SECRET": "sword", "FISH": ""}),
    ):
        assert definition_digest(change) != digest
    job = Job(
        app="shop", name="job", argv=UNIT.argv, cwd=UNIT.cwd, env=UNIT.env, timeout=1,
        log_file=UNIT.log_file,
    )  # fmt: skip
    assert definition_digest(job) == digest
