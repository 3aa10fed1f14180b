"""The end of a log file, as it is quoted."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen import log_tail


def test_the_tail_is_the_last_lines(root: Path) -> None:
    log = root / "log"
    assert log_tail.tail(log, 3) == []
    log.write_text("")
    assert log_tail.tail(log, 3) == []
    log.write_text("one\ntwo\nthree")
    assert log_tail.tail(log, 2) == ["two", "three"]
    assert log_tail.tail(log, 9) == ["one", "two", "three"]
    assert log_tail.tail(log, 0) == []
    assert log_tail.tail(log) == ["one", "two", "three"]
    assert log_tail.tail(log, since=4) == ["two", "three"]
    assert log_tail.tail(log, since=100) == []


def test_the_tail_of_a_huge_log_reads_only_its_end(root: Path) -> None:
    log = root / "log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    lines = log_tail.tail(log, 1_000_000)
    assert lines[-1] == "line 99999"
    assert len("\n".join(lines)) <= log_tail.TAIL_BYTES
    assert all(line.startswith("line ") for line in lines)
    log.write_text("x" * 200_000)
    assert log_tail.tail(log, 1) == ["x" * log_tail.TAIL_BYTES]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"),
        (b"\x1b(Btext\x1b7", "text"),
        (b"10%\r50%\r100%", "100%"),
        (b"from windows\r", "from windows"),
        (b"tab\tstays, bell\x07 goes", "tab\tstays, bell goes"),
        (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
        ("naïve ✓".encode(), "naïve ✓"),
    ],
)
def test_the_tail_is_fit_to_print(root: Path, raw: bytes, shown: str) -> None:
    (root / "log").write_bytes(raw + b"\n")
    assert log_tail.tail(root / "log", 1) == [shown]
