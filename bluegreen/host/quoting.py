"""No value may become more than one value of a unit file (systemd.syntax(7))."""

from __future__ import annotations

import re

from bluegreen.errors import ConfigError

_WORD = re.compile(r"[A-Za-z0-9_./:@+,=~-]+")
_PATH = re.compile(r"/[^\x00-\x20\x7f\"'\\]*")
# Control characters but tab and line feed, what UTF-8 has no bytes for, and the noncharacters:
# systemd drops a variable that has one of them.
_UNWRITABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_ESCAPES = {"\\": r"\\", '"': r"\"", "%": "%%", "\n": r"\n", "\t": r"\t"}


class UnitText(str):
    """Text that has been checked and may stand in a unit file as it is."""

    __slots__ = ()


def is_writable(text: str) -> bool:
    """Whether a unit can carry ``text`` as an argument or a variable."""
    return _UNWRITABLE.search(text) is None


def is_path(text: str) -> bool:
    """Whether a unit can name the path ``text``."""
    return _PATH.fullmatch(text) is not None and is_writable(text)


def argument(text: str) -> UnitText:
    """One word of ``ExecStart=``. Raises ConfigError for what a unit cannot carry."""
    return UnitText(_quoted(text).replace("$", "$$"))


def assignment(name: str, value: str) -> UnitText:
    """One ``NAME=VALUE`` of ``Environment=``. Raises ConfigError for what a unit cannot carry."""
    return UnitText(_quoted(f"{name}={value}"))


def path(text: object) -> UnitText:
    """A path where systemd takes it as it stands. Raises ConfigError for what could be misread."""
    if not is_path(str(text)):
        raise ConfigError(
            f"the path {str(text)!r} cannot be written into a unit",
            remedy="use a path without spaces, quotes, backslashes and control characters",
        )
    return UnitText(str(text).replace("%", "%%"))


def checked(value: object) -> object:
    """What the templates do to every value (Jinja2's ``finalize``): only plain words pass."""
    if isinstance(value, UnitText | int):
        return value
    if not _WORD.fullmatch(str(value)):
        raise ConfigError(
            f"{str(value)!r} cannot be written into a unit", remedy="use a plainer name"
        )
    return value


def _quoted(text: str) -> str:
    if not is_writable(text):
        raise ConfigError(
            "a value with control characters cannot be written into a unit",
            remedy="keep it in a file of the app's own",
        )
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'
