"""On which line of a TOML text each key is.

``tomllib`` gives values without their places. This reads a text that ``tomllib`` has accepted once
more, for the lines only, and only when there is a problem to report. The grammar is that of
TOML 1.0 (https://toml.io/en/v1.0.0).
"""

from __future__ import annotations

import bisect
import re
import tomllib
from collections.abc import Mapping

# ("services", "api", "ports"), ("routes", 1, "service"): the keys and list indexes down to a value.
Place = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?""""{0,2}', re.DOTALL),
    re.compile(r"'''.*?''''{0,2}", re.DOTALL),
    re.compile(r'"(?:[^"\\]|\\.)*"'),
    re.compile(r"'[^']*'"),
)


def lines_of_keys(text: str) -> dict[Place, int]:
    """The line, from 1, of each key, table header and list item of a valid TOML document."""
    scanner = _Scanner(text)
    try:
        scanner.document()
    except RecursionError:
        # Brackets nested a thousand deep: what was found until there still serves as a hint.
        return scanner.lines
    return scanner.lines


def line_at(lines: Mapping[Place, int], place: Place) -> int | None:
    """The line of ``place`` or of its nearest parent that the text names."""
    for length in range(len(place), 0, -1):
        if (line := lines.get(place[:length])) is not None:
            return line
    return None


def dotted(place: Place) -> str:
    """``services.api.ports.green``, ``routes[1].service``: a place as people write it."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if _BARE_KEY.fullmatch(part) else repr(part)
            text += f".{shown}" if text else shown
    return text


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self._text = text
        self._at = 0
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._tables: dict[Place, int] = {}  # how many tables of each [[array]] there are so far

    def document(self) -> None:
        table: Place = ()
        while self._skip(_GAP) < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Place:
        line = self._line()
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        keys = self._key()
        self._at += brackets
        place: Place = ()
        for key in keys:
            place = self._within(place)
            place += (key,)
            self.lines.setdefault(place, line)
        if brackets == 2:
            self._tables[place] = self._tables.get(place, 0) + 1
        place = self._within(place)
        self.lines[place] = line
        return place

    def _within(self, place: Place) -> Place:
        """``place``, or its latest table where it is an array of tables."""
        count = self._tables.get(place)
        return place if count is None else (*place, count - 1)

    def _pair(self, table: Place) -> None:
        line = self._line()
        place = table
        for key in self._key():
            place += (key,)
            self.lines.setdefault(place, line)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(place)

    def _key(self) -> list[str]:
        """One dotted key; stops at the ``=`` or ``]`` behind it."""
        keys = []
        while True:
            self._skip(_SPACE)
            if self._text[self._at] in "\"'":
                start = self._at
                self._skip(_STRINGS[2 if self._text[start] == '"' else 3])
                keys.append(tomllib.loads(f"key = {self._text[start : self._at]}")["key"])
            else:
                start = self._at
                keys.append(self._text[start : self._skip(_BARE_KEY)])
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _value(self, place: Place) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._items(place)
        elif opening == "{":
            self._at += 1
            while self._text[self._skip(_GAP)] != "}":
                self._pair(place)
            self._at += 1
        elif opening in "\"'":
            next(None for string in _STRINGS if self._matches(string))
        else:
            self._skip(_SCALAR)

    def _items(self, place: Place) -> None:
        self._at += 1
        index = 0
        while self._text[self._skip(_GAP)] != "]":
            item = (*place, index)
            self.lines[item] = self._line()
            self._value(item)
            index += 1
        self._at += 1

    def _matches(self, pattern: re.Pattern[str]) -> bool:
        start = self._at
        return self._skip(pattern) > start

    def _skip(self, pattern: re.Pattern[str]) -> int:
        if match := pattern.match(self._text, self._at):
            self._at = match.end()
        return self._at

    def _line(self) -> int:
        return bisect.bisect_right(self._line_starts, self._at)
