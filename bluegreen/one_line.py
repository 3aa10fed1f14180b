"""Texts of people that a terminal may print: one line, whichever way they came in."""

from __future__ import annotations

import re

LONGEST = 500  # characters
WHAT_IS_RIGHT = (
    f"write one line of text, not empty, at most {LONGEST} characters, without control characters"
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def is_one_line(text: str) -> bool:
    return bool(text.strip()) and len(text) <= LONGEST and not _CONTROL.search(text)
