"""Root's files, as they are and as they should be: shown, written, put back."""

from __future__ import annotations

import contextlib
import difflib
import logging
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import RefusedError
from bluegreen.files import link_atomically, sync_directory, write_atomically
from bluegreen.supervisors.unit_names import PREFIX, TARGET
from bluegreen.templates import WRITTEN_BY

log = logging.getLogger(__name__)

HEADERS = (f"# {WRITTEN_BY}\n", f"// {WRITTEN_BY}\n")


@dataclass(frozen=True)
class Link:
    """What a symbolic link says."""

    target: str


Content = str | Link


@dataclass(frozen=True, kw_only=True)
class Change:
    """A file as it is and as it should be; None: it does not exist."""

    path: Path
    before: Content | None
    after: Content | None

    @property
    def kind(self) -> str:
        if self.before is None:
            return "create"
        return "remove" if self.after is None else "change"

    def diff(self) -> list[str]:
        """As ``diff -u`` shows it, without line ends."""
        before, after = _lines(self.before), _lines(self.after)
        old, new = (str(self.path) if lines else "/dev/null" for lines in (before, after))
        return list(difflib.unified_diff(before, after, old, new, lineterm=""))


def _lines(content: Content | None) -> list[str]:
    if content is None:
        return []
    return [f"link to {content.target}"] if isinstance(content, Link) else content.splitlines()


def read(path: Path) -> Content | None:
    """What is there. Raises RefusedError for what is neither a file nor a link, OSError."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            return Link(str(path.readlink()))
        if stat.S_ISREG(mode):
            return path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return None
    raise RefusedError(
        f"{path} is in the way: it is not a file",
        remedy="move it elsewhere; bluegreen writes a file of that name",
    )


def is_ours(path: Path, content: Content) -> bool:
    """Whether it is of our making."""
    if isinstance(content, Link):
        ours = Path(content.target).name.startswith(PREFIX) or content.target.endswith(TARGET)
        return path.parent.name.endswith(".wants") and ours
    return content.startswith(HEADERS)


def changes_to(wanted: Mapping[Path, Content], areas: Iterable[tuple[Path, str]]) -> list[Change]:
    """What has to change so that ``wanted`` is there and, in ``areas``, nothing else of ours.

    An area is a directory and a pattern of names. Raises RefusedError for what is in the way, with
    all of it; OSError.
    """
    changes, strangers = [], []
    for path, after in wanted.items():
        before = read(path)
        if before is not None and before != after and not is_ours(path, before):
            strangers.append(path)
        if before != after:
            changes.append(Change(path=path, before=before, after=after))
    if strangers:
        raise RefusedError(
            "bluegreen did not write what is in the place of its files",
            detail=[str(path) for path in strangers],
            remedy="move these elsewhere, or rename the app or the service; nothing was changed",
        )
    for directory, pattern in areas:
        for path in sorted(set(directory.glob(pattern)) - wanted.keys()):
            before = read(path) if path.is_symlink() or path.is_file() else None
            if before is not None and is_ours(path, before):
                changes.append(Change(path=path, before=before, after=None))
    return changes


def write(changes: Sequence[Change], done: list[Change]) -> None:
    """Make the changes, each as a whole or not at all, and add to ``done`` as they are made."""
    for change in changes:
        _put(change.path, change.after)
        done.append(change)


def put_back(done: Sequence[Change]) -> None:
    """Undo, newest first. Goes on past a file that cannot be written, and says so in the log."""
    for change in reversed(done):
        try:
            if read(change.path) == change.after:  # else somebody has changed it since
                _put(change.path, change.before)
        except (OSError, RefusedError) as error:
            log.error("cannot put back %s: %s", change.path, error)


def _put(path: Path, content: Content | None) -> None:
    if content is None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            sync_directory(path.parent)
        return
    if not path.parent.is_dir():
        os.makedirs(path.parent, mode=0o755)
        sync_directory(path.parent.parent)
    if isinstance(content, Link):
        link_atomically(path, content.target)
    else:
        write_atomically(path, content.encode(errors="surrogateescape"))
