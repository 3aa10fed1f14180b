"""The end of a log file, fit to print."""

from __future__ import annotations

import os
import re
from pathlib import Path

TAIL_BYTES = 64 * 1024  # how far back from its end a log is read

# ECMA-48: control sequences, operating system commands (titles, links), other escapes.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(line: str) -> str:
    """The line as it looked at its end: no colours, no control characters, no progress bars."""
    visible = line.rstrip("\r").rpartition("\r")[2]
    return _CONTROLS.sub("", _ESCAPES.sub("", visible))


def visible(text: str) -> str:
    """The text with control characters as they are written in Python: ``\\x1b``."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def tail(path: Path, lines: int | None = None, *, since: int = 0) -> list[str]:
    """The last lines of a log, as many as asked for; ``since``: of what follows so many bytes.

    From at most its last `TAIL_BYTES`; without ``lines``, all that these hold. What is no UTF-8
    is replaced. No lines if there is no log. Blocks on the disk.
    """
    try:
        with path.open("rb") as file:
            start = max(file.seek(0, os.SEEK_END) - TAIL_BYTES, since)
            file.seek(start)
            text = file.read(TAIL_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return []
    found = text.removesuffix("\n").split("\n") if text else []
    if start > since and len(found) > 1:
        found = found[1:]  # its beginning lies further back
    kept = found if lines is None else found[max(0, len(found) - lines) :]
    return [printable(line) for line in kept]
