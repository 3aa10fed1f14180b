"""No value may break out of the nginx directive that it is rendered into."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Za-z0-9_./:@%+,=~*\[\]-]+")
_UNQUOTED = re.compile(r"[A-Za-z0-9_./:-]+")
_QUOTABLE = re.compile(r"[^\x00-\x1f\x7f\"'`;{}$\\]+")
_VARIABLES = re.compile(r"(?:\$[a-z_][a-z0-9_]*)+")
_TEXT = re.compile(r"[^\x00-\x1f\x7f'$\\]*")


class UnsafeValueError(ValueError):
    """A value that nginx could read as more than one value."""

    def __init__(self, value: str) -> None:
        super().__init__(f"{value!r} cannot be written into an nginx configuration")
        self.value = value


class Directive(str):
    """Text that has been checked and may stand in a configuration as it is."""

    __slots__ = ()


def quoted(value: object) -> Directive:
    """One argument of a directive, in double quotes where it needs them.

    Raises UnsafeValueError for control characters, quotes, backslashes and ``; { } $``.
    """
    text = str(value)
    if not _QUOTABLE.fullmatch(text):
        raise UnsafeValueError(text)
    return Directive(text if _UNQUOTED.fullmatch(text) else f'"{text}"')


def quoted_before(value: object, variables: str) -> Directive:
    """The argument that is ``value`` with what nginx finds in ``variables`` (``$name``) behind it.

    Raises UnsafeValueError as `quoted` does.
    """
    text = str(value)
    if not _QUOTABLE.fullmatch(text) or not _VARIABLES.fullmatch(variables):
        raise UnsafeValueError(f"{text}{variables}")
    return Directive(f'"{text}{variables}"')


def text_argument(value: object) -> Directive:
    """A text in single quotes: the body of a ``return``.

    Raises UnsafeValueError for control characters, single quotes, backslashes and ``$``.
    """
    text = str(value)
    if not _TEXT.fullmatch(text):
        raise UnsafeValueError(text)
    return Directive(f"'{text}'")


def checked(value: object) -> object:
    """What the templates do to every value that no filter has handled (Jinja2's ``finalize``).

    Raises UnsafeValueError for anything but a plain word.
    """
    if isinstance(value, Directive | int):
        return value
    text = str(value)
    if text and not _WORD.fullmatch(text):
        raise UnsafeValueError(text)
    return text
