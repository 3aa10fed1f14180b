"""Output on a terminal whose encoding does not have every character that is to be said."""

from __future__ import annotations

import codecs
import io

TYPE_CHECKING = False  # typing's own, without the time that importing typing takes
if TYPE_CHECKING:
    from typing import TextIO

SAID_INSTEAD = {
    "…": "...",
    "→": "->",
    "↺": "<",
    "✓": "+",
    "✗": "x",
    "·": "-",
    "█": "#",
    "•": "*",
    **dict(zip("▁▂▃▄▅▆▇", "_.:-=+*", strict=True)),
}
SPINNER = range(0x2800, 0x2900)  # of which the signs are that turn while something goes on


def say_what_can_be_said(stream: TextIO | None) -> None:
    """From now on ``stream`` says otherwise what its encoding lacks, and never fails for it."""
    if isinstance(stream, io.TextIOWrapper):
        codecs.register_error("bluegreen", _otherwise)
        stream.reconfigure(errors="bluegreen")


def _otherwise(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start]
    sign = "*" if ord(lacking) in SPINNER else SAID_INSTEAD.get(lacking)
    if sign is None:
        sign = lacking.encode("ascii", "backslashreplace").decode()
    return sign, error.start + 1
