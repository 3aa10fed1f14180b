"""Links from a tree to what lives in the app's shared directory and outlasts every release."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from bluegreen.errors import SourceError
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.removal import remove_tree


def link_shared(tree: Path, shared: Path, paths: Sequence[str], aside: Path, stop: Stop) -> None:
    """Replace each of ``paths`` in ``tree`` by an absolute link into ``shared``. Blocking.

    The release's own files and directories of these names go into ``aside``, under the same paths.
    ``tree`` is not left through a link that the release brought along. Raises SourceError where
    that would be needed, and OSError.
    """
    for path in paths:
        stop.check()
        own = _parent_in(tree, path) / path.rpartition("/")[2]
        if _is_plain(own):
            kept = aside / path
            kept.parent.mkdir(parents=True, exist_ok=True)
            own.rename(kept)
        else:
            remove_tree(own)
        own.symlink_to(shared / path)


def _is_plain(path: Path) -> bool:
    """Whether it is a file or a directory, and no link to one."""
    mode = path.lstat().st_mode if os.path.lexists(path) else 0
    return stat.S_ISDIR(mode) or stat.S_ISREG(mode)


def outermost(paths: Sequence[str]) -> list[str]:
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
