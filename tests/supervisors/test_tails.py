"""Where the last lines of a log begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.supervisors.tails import CHUNK, Tail


def last(path: Path, lines: int) -> list[str]:
    tail = Tail("api", path)
    tail.seek_back(lines)
    found: list[str] = []
    while new := tail.read():
        found += new
    return found + tail.rest()


def test_many_lines_are_found_however_far_back_they_begin(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = [f"{number:0100}" for number in range(10_000)]
    log.write_text("\n".join(written) + "\n")
    assert log.stat().st_size > 3 * CHUNK
    for lines in (0, 1, 2, 2595, 2596, 2597, 9_999, 10_000, 100_000):
        assert last(log, lines) == (written[-lines:] if lines else []), lines


@pytest.mark.parametrize(
    ("text", "lines", "found"),
    [
        ("", 3, []),
        ("\n", 1, [""]),
        ("a\nb\nc", 2, ["b", "c"]),
        ("a\nb\nc\n", 2, ["b", "c"]),
        ("a\n\n\n", 2, ["", ""]),
        ("a\n", 5, ["a"]),
        ("10%\r20%\nb\n", 2, ["10%\r20%", "b"]),
    ],
)
def test_a_last_line_counts_with_and_without_its_end(
    tmp_path: Path, text: str, lines: int, found: list[str]
) -> None:
    log = tmp_path / "log"
    log.write_bytes(text.encode())
    assert last(log, lines) == found


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert last(tmp_path / "log", 10) == []
