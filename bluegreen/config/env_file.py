"""Files of ``KEY=VALUE`` lines, and small text files that an operator names.

The format is what systemd's ``EnvironmentFile=`` and the ``.env`` readers have in common: one
variable a line, ``#`` comments, an optional ``export``, optional quotes. Nothing is substituted
and no shell is asked.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from bluegreen.errors import ConfigError
from bluegreen.remedies import Remedies

LARGEST = 128 * 1024  # bytes; the kernel takes no longer variable (MAX_ARG_STRLEN)

_LINE = re.compile(
    r"""
    (?:export[ \t]+)?
    (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    [ \t]*=[ \t]*
    (?:
        '(?P<single>[^']*)'
      | "(?P<double>(?:[^"\\]|\\.)*)"
      | (?P<bare>[^'"\s#][^\0]*?)?
    )
    (?:[ \t]+\#.*|[ \t]*)
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


class UnusableFileError(ConfigError):
    """A file that variables come from is missing, or none that they could come from.

    On a host the daemon reads none of them, so the remedy is that of a root of its own.
    """

    def __init__(self, file: Path, wrong: str) -> None:
        super().__init__(wrong, remedy=f"{Remedies.usable(file)}.")
        self.file = file


def read_env_file(file: Path) -> dict[str, str]:
    """The variables of ``file``; a later line wins.

    Double quotes know ``\\n``, ``\\t``, ``\\r``, ``\\"`` and ``\\\\``; single quotes are verbatim;
    a bare value ends at `` #``. Raises ConfigError naming file and line, never the line's text.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(read_small_file(file, what="env file").split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None or "\0" in stripped:
            raise ConfigError(
                f"{file}:{number}: not a line of an env file",
                remedy='Write KEY=VALUE, one a line, values with spaces or # in "quotes".',
            )
        variables[match["name"]] = _value(match)
    return variables


def _value(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), match["double"])
    return match["single"] if match["single"] is not None else match["bare"] or ""


def read_small_file(file: Path, *, what: str) -> str:
    """The text of an ordinary file of at most ``LARGEST`` bytes.

    Raises UnusableFileError that names ``what`` and the file. A pipe or device is refused
    unopened: it could keep the reader waiting for ever.
    """
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise UnusableFileError(file, f"the {what} {file} is not an ordinary file")
        with file.open("rb") as opened:
            data = opened.read(LARGEST + 1)
    except OSError as error:
        raise UnusableFileError(
            file, f"the {what} {file} cannot be read: {error.strerror}"
        ) from error
    if len(data) > LARGEST:
        raise UnusableFileError(file, f"the {what} {file} is larger than {LARGEST // 1024} KiB")
    try:
        return data.decode()
    except UnicodeDecodeError:
        # Without the cause: its text would quote the content.
        raise UnusableFileError(file, f"the {what} {file} is not UTF-8 text") from None
