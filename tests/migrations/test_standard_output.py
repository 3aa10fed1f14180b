"""What ``check`` prints, apart from all else: as it is written, read and shown."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bluegreen.migrations.commands import APART, Told, shown

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
