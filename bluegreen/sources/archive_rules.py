"""What an archive may hold, and how much of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_MEMBERS = 250_000  # files, directories and links, with directories that only paths name
MOST_LINKS = 100_000
LONGEST_PATH = 1024  # bytes, of a path in the archive and of what a link points to
LONGEST_NAME = 255  # bytes, as the usual file systems have it
DEEPEST = 64  # directories in each other

# Nothing of what is looked for below; nearly all names are like that.
_PART = rf"(?!\.{{1,2}}(?:/|\Z))[!-.0-~]{{1,{LONGEST_NAME}}}"
_PLAIN = re.compile(rf"{_PART}(?:/{_PART})*")


class RefusedArchiveError(Exception):
    """The archive is damaged, or holds what a release may not. Its text is fit to print."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """``unpacked``: the most bytes that an archive may hold, headers and all."""

    unpacked: int
    members: int = MOST_MEMBERS


def shown(name: str) -> str:
    """A name from an archive as a message may quote it."""
    text = name if len(name) <= 100 else f"{name[:97]}..."
    return ascii(text)


def parts_of(name: str) -> tuple[str, ...]:
    """The components of a member's name, none for the archive's root itself.

    Raises RefusedArchiveError on names that are absolute, lead upwards, or are too long or deep.
    """
    if len(name) <= LONGEST_PATH and name.count("/") < DEEPEST and _PLAIN.fullmatch(name):
        return tuple(name.split("/"))
    if "\0" in name:
        raise RefusedArchiveError(f"{shown(name)}: a name with a NUL character")
    if name.startswith("/"):
        raise RefusedArchiveError(f"{shown(name)}: an absolute path")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise RefusedArchiveError(f"{shown(name)}: a path that leads upwards")
    _check_length(name)
    if any(len(_bytes(part)) > LONGEST_NAME for part in parts):
        raise RefusedArchiveError(f"{shown(name)}: a name of more than {LONGEST_NAME} bytes")
    if len(parts) > DEEPEST:
        raise RefusedArchiveError(f"{shown(name)}: more than {DEEPEST} directories in each other")
    return parts


def check_target(link: str, target: str) -> None:
    """Raises RefusedArchiveError on what no link of a release points to, wherever it is."""
    if target.startswith("/"):
        raise RefusedArchiveError(f"{shown(link)}: a link to the absolute path {shown(target)}")
    if not target or "\0" in target:
        raise RefusedArchiveError(f"{shown(link)}: a link to nowhere")
    _check_length(target)


def _check_length(path: str) -> None:
    if len(_bytes(path)) > LONGEST_PATH:
        raise RefusedArchiveError(f"{shown(path)}: a path of more than {LONGEST_PATH} bytes")


def _bytes(text: str) -> bytes:
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        raise RefusedArchiveError(f"{shown(text)}: a name that is no text") from None
