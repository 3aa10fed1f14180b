"""A TOML file as text, as data, and with what is found wrong with it."""

from __future__ import annotations

import re
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bluegreen.config.places import Place, dotted, line_at, lines_of_keys
from bluegreen.config.problems import Finding, InvalidConfiguration, Problem

LARGEST = 1024 * 1024  # bytes of one file

_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|(end of document))\)$")


# Of more digits Python makes no integer, and says so by a ValueError that knows no line.
_LONG_NUMBER = re.compile(r"(?<![\w\"'])[+-]?[0-9_]{4301,}")


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file that is TOML. Whoever checks it adds to ``wrong``."""

    file: Path
    text: str
    data: dict[str, Any]
    wrong: list[Finding] = field(default_factory=list)

    def problems(self) -> list[Problem]:
        """What is wrong, in the order of the file's lines."""
        if not self.wrong:
            return []
        lines = lines_of_keys(self.text)
        found = (
            Problem(
                file=self.file,
                line=line_at(lines, finding.place),
                key=dotted(finding.place),
                wrong=finding.wrong,
                right=finding.right,
            )
            for finding in dict.fromkeys(self.wrong)
        )
        return sorted(found, key=lambda problem: problem.line or 0)


def read_document(file: Path) -> Document:
    """Read and parse ``file``; raises InvalidConfiguration with the one problem there is."""
    text = _read(file)
    try:
        return Document(file=file, text=text, data=tomllib.loads(text))
    except RecursionError:
        raise _refused(file, None, "brackets are nested too deeply", "Write it flatter") from None
    except ValueError as error:
        number = _LONG_NUMBER.search(text)
        position = _POSITION.search(str(error))
        line: int | None = None
        if number is not None and not isinstance(error, tomllib.TOMLDecodeError):
            line = text.count("\n", 0, number.start()) + 1
            raise _refused(
                file, line, "a number has too many digits", "Write one that 64 bits can hold"
            ) from error
        if position:
            line = int(position[1]) if position[1] else text.rstrip().count("\n") + 1
        raise _refused(
            file,
            line,
            f"this is not TOML: {_POSITION.sub('', str(error))}",
            'Write KEY = VALUE lines under [TABLE] headers, text in "quotes", each key once',
        ) from error


def where(file: Path, place: Place) -> str:
    """``/etc/bluegreen/bluegreen.toml:3: api.tls.key``: a place of a file, as a problem names it.

    Without its line where the file is not TOML any more.
    """
    try:
        lines = lines_of_keys(read_document(file).text)
    except InvalidConfiguration:
        lines = {}
    line = line_at(lines, place)
    return f"{file}{'' if line is None else f':{line}'}: {dotted(place)}"


def _read(file: Path) -> str:
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would keep the reader waiting
            raise _refused(file, None, "this is not an ordinary file", "Name a TOML file")
        with file.open("rb") as opened:
            data = opened.read(LARGEST + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise _refused(
            file, None, f"it cannot be read: {reason}", "Make it a file that the daemon can read"
        ) from error
    if len(data) > LARGEST:
        raise _refused(
            file, None, f"it is larger than {LARGEST // 1024} KiB", "Name an app's TOML file"
        )
    try:
        return data.decode("utf-8-sig")  # as some editors save it
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused(file, line, "this is not UTF-8 text", "Save it as UTF-8") from error


def _refused(file: Path, line: int | None, wrong: str, right: str) -> InvalidConfiguration:
    return InvalidConfiguration([Problem(file=file, line=line, key="", wrong=wrong, right=right)])
