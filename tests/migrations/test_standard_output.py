"""What ``check`` prints, apart from all else: as it is written, read and shown."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bluegreen.migrations.commands import APART, LONGEST_READ, Told, shown

MARK = "-- standard output of check (0123456789abcdef)"


@pytest.mark.parametrize(
    ("script", "read", "seen"),
    [
        ("echo aside >&2; echo 0001; echo 0002", ["0001", "0002"],
         ["aside", "-- standard output of check", "0001", "0002"]),
        ("echo aside >&2", [], ["aside"]),
        (f"echo '{MARK}' >&2; echo 0001", ["0001"],
         [*["-- standard output of check"] * 2, "0001"]),
    ],
)  # fmt: skip
def test_what_is_printed_is_told_and_nothing_where_there_is_nothing(
    tmp_path: Path, script: str, read: list[str], seen: list[str]
) -> None:
    log = tmp_path / "check.log"
    with log.open("wb") as output:
        command = ["/bin/sh", "-c", APART, "sh", f"{script}; exit 3", MARK]
        ended = subprocess.run(command, stdout=output, stderr=output, timeout=60, check=False)
    assert ended.returncode == 3
    assert Told.read(log, 0, None, MARK).lines == read
    assert [shown(line) for line in log.read_text().splitlines()] == seen


def test_a_failure_is_found_however_long_its_line_is(tmp_path: Path) -> None:
    """As of what draws its progress over itself."""
    log = tmp_path / "run.log"
    for before in (0, LONGEST_READ - 4, 5 * LONGEST_READ):
        log.write_bytes(b"%" * before + b" [FATAL] no " + b"%" * 2 * LONGEST_READ + b"\rdone\n")
        told = Told.read(log, 0, re.compile(r"\[FATAL\]"), None)
        assert told.failure is not None
        assert len(told.failure) < 2 * LONGEST_READ
