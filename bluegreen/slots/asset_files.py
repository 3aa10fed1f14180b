"""Which files of a tree are assets, and copies of them that the tree's own user cannot change.

Run as a program, ``asset_files TREE FILE DIRECTORIES``, by the user that builds are of, where the
daemon may not read what they make: it writes the assets one after another into FILE, which is
there already. DIRECTORIES is JSON: the directories of the tree by the paths of the site.
"""

from __future__ import annotations

import json
import os
import stat
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bluegreen.asset_types import is_asset
from bluegreen.sources.interruptible import Stop

MOST_FILES = 50_000
MOST_BYTES = 2**30
LONGEST_NAME = 4096  # bytes; Linux takes no longer path
_HEAD = struct.Struct(">HQ")  # the bytes of the name, and those of the file
_PIECE = 2**20  # bytes
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a FIFO put in the place of a file would never be opened.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class AssetsError(Exception):
    """What is to be kept cannot be; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Asset:
    """``path`` is that of the site, without its first slash; ``file`` is read before the next."""

    path: str
    size: int  # bytes
    file: BinaryIO


def assets_in(tree: Path, directories: Mapping[str, str]) -> Iterator[Asset]:
    """Those of ``tree``: regular files, to which no link leads. Blocking.

    Each stands under the longest path of the site that fits it, as nginx chooses. Raises
    AssetsError for a directory that is not there, OSError.
    """
    for route, directory in directories.items():
        top = _enter(tree, directory)
        try:
            for path, descriptor, name in _files(top):
                served = f"{route.rstrip('/')}/{path}"
                longest = max((one for one in directories if served.startswith(one)), key=len)
                if longest == route and is_asset(served[1:]):
                    yield from _opened(served[1:], descriptor, name)
        finally:
            os.close(top)


def _enter(tree: Path, directory: str) -> int:
    descriptor = os.open(tree, _DIRECTORY)
    for part in directory.split("/"):
        try:
            inner = os.open(part, _DIRECTORY, dir_fd=descriptor)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise AssetsError(f"{directory} {_seen(part, descriptor)} after the build") from error
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


def _seen(name: str, directory: int) -> str:
    """What is there in the place of a directory."""
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return "is not there"
    return "is a link" if stat.S_ISLNK(mode) else "is no directory"


def _files(top: int) -> Iterator[tuple[str, int, str]]:
    """The path of each file below ``top``, and its name in a directory that is open."""
    walk = os.fwalk(".", dir_fd=top, follow_symlinks=False, onerror=_raise)
    for base, names, files, descriptor in walk:
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            yield f"{base}/{name}"[2:], descriptor, name


def _raise(error: OSError) -> None:
    raise error


def _opened(path: str, directory: int, name: str) -> Iterator[Asset]:
    # Looked at first: to open a device may have effects of its own.
    if not stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        return
    with open(os.open(name, _FILE, dir_fd=directory), "rb") as file:
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode):
            yield Asset(path=path, size=found.st_size, file=file)


def keep(assets: Iterable[Asset], target: Path, stop: Stop) -> int:
    """Copy them below ``target`` for everybody to read; the bytes that they are. Blocking.

    Whoever says what they are is not believed. Raises AssetsError for what is too much or makes no
    sense, OSError.
    """
    total = 0
    _make(target)
    for asset in _not_too_much(assets):
        stop.check()
        total += asset.size
        if not is_asset(asset.path):
            raise AssetsError(f"{asset.path!r} is no asset")
        place = target / asset.path
        _make(place.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(place, flags, 0o600), "wb") as file:
            _copy(asset, file)
            os.fchmod(file.fileno(), 0o644)
    return total


def _not_too_much(assets: Iterable[Asset]) -> Iterator[Asset]:
    """Raises AssetsError at the first one that is."""
    total = 0
    for number, asset in enumerate(assets, start=1):
        total += asset.size
        if number > MOST_FILES or total > MOST_BYTES:
            raise AssetsError(f"they are more than {MOST_FILES} files or {MOST_BYTES // 2**20} MiB")
        yield asset


def _make(directory: Path) -> None:
    if not directory.is_dir():
        _make(directory.parent)
        directory.mkdir()
        directory.chmod(0o755)  # whatever the umask: nginx has a user of its own


def pack(assets: Iterable[Asset], into: BinaryIO) -> None:
    """Write them one after another. Raises AssetsError and OSError. Blocking."""
    for asset in _not_too_much(assets):
        name = os.fsencode(asset.path)
        into.write(_HEAD.pack(len(name), asset.size) + name)
        _copy(asset, into)


def packed(file: BinaryIO) -> Iterator[Asset]:
    """What `pack` has written. Raises AssetsError where it is something else. Blocking."""
    while head := file.read(_HEAD.size):
        if len(head) < _HEAD.size:
            raise AssetsError("what the app's user has written ends half-way")
        length, size = _HEAD.unpack(head)
        if length > LONGEST_NAME:
            raise AssetsError("what the app's user has written makes no sense")
        yield Asset(path=os.fsdecode(file.read(length)), size=size, file=file)


def _copy(asset: Asset, into: BinaryIO) -> None:
    """Just as much as it was said to be."""
    left = asset.size
    while left and (piece := asset.file.read(min(left, _PIECE))):
        into.write(piece)
        left -= len(piece)
    if left:
        raise AssetsError(f"{asset.path!r} has become shorter while it was read")


def main(tree: str, report: str, directories: str) -> None:
    """Exit status 1, with a line that says why."""
    try:
        # The file is the daemon's, which has it open: no name of it is looked up again.
        with open(os.open(report, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "wb") as file:
            pack(assets_in(Path(tree), json.loads(directories)), file)
    except AssetsError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename or report}: {error.strerror or error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
