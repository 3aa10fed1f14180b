"""The files that nginx reads, changed as one: all of them, or none."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import TrafficError
from bluegreen.files import sync_directory, write_atomically
from bluegreen.traffic.rendering import HEADER

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A file as it was and as it was left; None: it did not exist."""

    path: Path
    before: str | None
    after: str | None


def read(path: Path) -> str | None:
    """What a file says; None when there is none."""
    try:
        return path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return None


def write(path: Path, text: str, *, durable: bool = True, sync_parent: bool = True) -> list[Change]:
    """Write what differs (see ``write_atomically``).

    Raises TrafficError for a file that is not ours, OSError for the disk.
    """
    before = read(path)
    if before == text:
        return []
    if before and not before.startswith(HEADER):
        raise TrafficError(
            f"{path} is in the way: bluegreen did not write it",
            remedy="move it elsewhere; bluegreen writes a file of that name",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text, durable=durable, sync_parent=sync_parent)
    return [Change(path=path, before=before, after=text)]


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        sync_directory(path.parent)


def remove_others(directories: Iterable[Path], wanted: Iterable[Path]) -> list[Change]:
    """Remove the files of ours that are not among ``wanted``."""
    kept = set(wanted)
    changes = []
    for directory in directories:
        for path in sorted(directory.glob("*.conf")):
            text = None if path in kept else read(path)
            if text is not None and text.startswith(HEADER):
                _remove(path)
                changes.append(Change(path=path, before=text, after=None))
    return changes


def write_all(files: Mapping[Path, str], changes: list[Change]) -> None:
    """Write what differs, and add to ``changes`` as it goes."""
    first = len(changes)
    for path, text in files.items():
        changes.extend(write(path, text, sync_parent=False))
    for directory in {change.path.parent for change in changes[first:]}:
        sync_directory(directory)


def put_back(changes: Iterable[Change]) -> None:
    """Undo, newest first. What somebody has changed since is theirs.

    Goes on past a file that cannot be written, and says so in the log.
    """
    for change in reversed(list(changes)):
        try:
            if read(change.path) != change.after:
                continue
            if change.before is None:
                _remove(change.path)
            else:
                write_atomically(change.path, change.before)
        except OSError as error:
            log.error("cannot put back %s: %s", change.path, error)
