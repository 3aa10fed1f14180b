"""Removing directory trees that builds have filled, whatever their modes."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove ``path`` with all that is below it; fine when it is not there. Blocking.

    Symbolic links are removed, never followed. Directories without write permission, as the cache
    of Go modules has them, are made writable first. Raises OSError.
    """
    try:
        is_directory = stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_directory:
        path.unlink()
        return
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _open_up(path.name, parent)
    finally:
        os.close(parent)
    for _, directories, _, descriptor in os.fwalk(path, follow_symlinks=False):
        for name in directories:
            _open_up(name, descriptor)
    shutil.rmtree(path)


def _open_up(name: str, parent: int) -> None:
    """Let the owner list and change a directory. Through O_PATH, so that no link is followed."""
    try:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=parent)
    except (FileNotFoundError, NotADirectoryError):
        return  # gone meanwhile, or a link to a directory
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{descriptor}", mode | 0o700)
    finally:
        os.close(descriptor)
