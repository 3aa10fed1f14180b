"""What lives in the app's shared directory gets its first content from the release.

What a shared path becomes when the shared directory does not have it yet: the release's own copy
where it ships one; otherwise an empty directory, unless its last part has a dot in it
(``backend/.env``): then it is taken for a file, and the link waits for somebody to create it.

Run as a program, ``seeding ASIDE SHARED PATH…``, by the user that the shared directory is of.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from bluegreen.files import rename_durably, sync_directory
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.removal import remove_tree


def seed(aside: Path, shared: Path, paths: Sequence[str], stop: Stop) -> None:
    """Create what is missing of ``paths`` in ``shared``, from what the release has of them.

    That is in ``aside``, under the same paths. Blocking; raises OSError.
    """
    shared.mkdir(parents=True, exist_ok=True)
    for path in paths:
        stop.check()
        if not os.path.lexists(shared / path):
            _create(aside / path, shared / path, stop)


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


if __name__ == "__main__":
    try:
        seed(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:], Stop())
    except OSError as error:
        sys.exit(f"what is shared was not created: {error}")
