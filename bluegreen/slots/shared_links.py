"""Links from a tree to what lives in the app's shared directory and outlasts every release.

What a shared path becomes when the shared directory does not have it yet: the release's own copy
where it ships one; otherwise an empty directory, unless its last part has a dot in it
(``backend/.env``): then it is taken for a file, and the link waits for somebody to create it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from bluegreen.errors import SourceError
from bluegreen.files import rename_durably, sync_directory
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.removal import remove_tree


def link_shared(tree: Path, shared: Path, paths: Sequence[str], stop: Stop) -> None:
    """Replace each of ``paths`` in ``tree`` by an absolute link into ``shared``. Blocking.

    ``tree`` is not left through a link that the release brought along. Raises SourceError where
    that would be needed, and OSError.
    """
    shared.mkdir(parents=True, exist_ok=True)
    for path in _outermost(paths):
        stop.check()
        own = _parent_in(tree, path) / path.rpartition("/")[2]
        target = shared / path
        if not os.path.lexists(target):
            _create(own, target, stop)
        remove_tree(own)
        own.symlink_to(target)


def _outermost(paths: Sequence[str]) -> list[str]:
    """Without paths that are inside another: those are shared with it."""
    return [
        path
        for path in dict.fromkeys(paths)
        if not any(path.startswith(f"{other}/") for other in paths)
    ]


def _parent_in(tree: Path, path: str) -> Path:
    """The directory in ``tree`` that is to hold the link, created where it is missing."""
    parent = tree
    for part in path.split("/")[:-1]:
        parent = parent / part
        with contextlib.suppress(FileExistsError):
            parent.mkdir()
        if not stat.S_ISDIR(parent.lstat().st_mode):
            raise SourceError(
                f"{path} cannot be shared: {parent.relative_to(tree)} in the release is not a "
                "directory",
                detail=["it is a link" if parent.is_symlink() else "it is a file"],
                remedy="correct [app] shared, or the release",
            )
    return parent


def _create(own: Path, target: Path, stop: Stop) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = own.lstat().st_mode if os.path.lexists(own) else 0
    if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
        _seed(own, target, stop)
    elif "." not in target.name:
        target.mkdir()
        sync_directory(target.parent)


def _seed(own: Path, target: Path, stop: Stop) -> None:
    """Copy the release's own file or directory: wholly and durably, or not at all."""

    def copy(source: str, copied: str) -> str:
        stop.check()
        shutil.copy2(source, copied, follow_symlinks=False)
        if not os.path.islink(copied):
            with open(copied, "rb") as file:
                os.fsync(file.fileno())
        return copied

    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        if own.is_dir():
            shutil.copytree(own, temporary, symlinks=True, copy_function=copy)
            for directory, _, _ in os.walk(temporary):
                sync_directory(Path(directory))
        else:
            copy(str(own), str(temporary))
        rename_durably(temporary, target)
    except BaseException:
        remove_tree(temporary)
        raise
