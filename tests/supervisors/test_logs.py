"""Logs: rotation under a writer that knows nothing of it, and their last lines."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path

import pytest

from bluegreen.supervisors import embedded as embedded_module
from bluegreen.supervisors import logs
from tests.supervisors.conftest import Workshop
from tests.waiting import eventually

COUNTER = """
import os, time
number = 0
while not os.path.exists("enough"):
    print(number, flush=True)
    number += 1
    time.sleep(0.02)
print("end", flush=True)
time.sleep(1000)
"""


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_a_log_within_its_size_is_left_alone(root: Path) -> None:
    logs.rotate(root / "log", log_bytes=10, log_files=3)
    assert names(root) == []
    (root / "log").write_text("0123456789")
    logs.rotate(root / "log", log_bytes=10, log_files=3)
    assert names(root) == ["log"]
    assert (root / "log").read_text() == "0123456789"


def test_a_full_log_is_emptied_and_as_many_are_kept_as_asked(root: Path) -> None:
    log = root / "log"
    for text in ("first", "second", "third", "fourth"):
        log.write_text(text)
        logs.rotate(log, log_bytes=3, log_files=3)
        assert log.read_text() == ""
    assert names(root) == ["log", "log.1", "log.2"]
    assert (root / "log.1").read_text() == "fourth"
    assert (root / "log.2").read_text() == "third"


def test_with_one_file_nothing_older_is_kept(root: Path) -> None:
    (root / "log").write_text("full")
    logs.rotate(root / "log", log_bytes=3, log_files=1)
    assert names(root) == ["log"]


def test_a_log_that_cannot_be_copied_is_not_emptied(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    (root / "log").write_text("precious")
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        logs.rotate(root / "log", log_bytes=3, log_files=3)
    assert names(root) == ["log"]
    assert (root / "log").read_text() == "precious"


async def test_a_writer_loses_nothing_when_its_log_is_rotated(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "ROTATION_INTERVAL", 0.05)
    supervisor = await workshop.supervisor()
    unit = dataclasses.replace(workshop.python(COUNTER), log_bytes=50, log_files=100)
    await supervisor.start(unit)
    await eventually(
        lambda: unit.log_file.with_name("api.log.4").exists(), "the log was rotated four times"
    )
    (workshop.root / "enough").touch()

    def files() -> list[Path]:
        return sorted(
            unit.log_file.parent.iterdir(),
            key=lambda path: -int(path.suffix[1:]) if path.suffix[1:].isdigit() else 0,
        )

    def lines() -> list[str]:
        return "".join(path.read_text() for path in files()).split("\n")

    def has_ended() -> bool:
        try:
            return "end" in lines()
        except FileNotFoundError:  # it has another name by now
            return False

    await eventually(has_ended, "the writer is at its end")
    await supervisor.close(stop_units=True)  # with it, the rotation
    written = [line for line in lines() if line and not line.startswith("---")]
    assert written == [*(str(number) for number in range(len(written) - 1)), "end"]


async def test_a_log_that_cannot_be_rotated_is_told_once(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(embedded_module, "ROTATION_INTERVAL", 0.01)
    attempts: list[Path] = []

    def fail(path: Path, *, log_bytes: int, log_files: int) -> bool:
        attempts.append(path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logs, "rotate", fail)
    supervisor, unit = await workshop.supervisor(), workshop.unit("sleep 1000")
    await supervisor.start(unit)
    await eventually(lambda: len(attempts) >= 3, "the log was to be rotated three times")
    assert caplog.text.count("cannot be rotated: No space left on device") == 1


async def test_notes_are_lines_of_their_own(root: Path) -> None:
    log = root / "deep" / "log"
    await asyncio.to_thread(logs.note_in, log, "started pid 7")
    text = log.read_text()
    assert text.startswith("--- bluegreen: started pid 7 at 2")
    assert text.endswith(" ---\n")
    assert oct(log.stat().st_mode)[-3:] == "640"


def test_a_note_that_cannot_be_written_is_left_out(root: Path) -> None:
    (root / "file").touch()
    logs.note_in(root / "file" / "log", "started")
    assert names(root) == ["file"]
