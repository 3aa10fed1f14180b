"""Durable changes to files: a reader, or a power cut, sees the old or the new, never a half."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Make renames, creations and removals in ``directory`` survive a power cut."""
    _sync(directory, os.O_DIRECTORY)


def sync_file(file: Path) -> None:
    """Make what is in ``file`` survive a power cut."""
    _sync(file, 0)


def _sync(path: Path, kind: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | kind)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(
    path: Path,
    content: str | bytes,
    *,
    mode: int = 0o644,
    durable: bool = True,
    sync_parent: bool = True,
    for_all: bool = False,
) -> None:
    """Replace ``path`` by ``content``: write-temp, fsync, rename, fsync of the directory.

    ``mode`` is what the umask leaves of it, unless it is ``for_all`` to read. Without ``durable``
    there is no fsync: for what means nothing after a power cut. Without ``sync_parent`` the caller
    syncs the directory, once for many files. Raises OSError (ENOSPC, EROFS, …) with the old file
    still in place and no temporary file left.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if for_all:
                os.fchmod(file.fileno(), 0o644)
            if durable:
                os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    if durable and sync_parent:
        sync_directory(path.parent)


def rename_durably(source: Path, target: Path) -> None:
    """One ``rename(2)``, and the fsync of the directory that it is to."""
    os.rename(source, target)
    sync_directory(target.parent)


def link_atomically(link: Path, target: str) -> None:
    """Make ``link`` a symbolic link to ``target``, replacing what link was there."""
    temporary = link.with_name(f".{link.name}.{secrets.token_hex(4)}.tmp")
    os.symlink(target, temporary)
    try:
        os.rename(temporary, link)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(link.parent)
