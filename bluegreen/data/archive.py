"""Files and directories as one compressed tar, with a listing of what each member was.

The listing has a line a member, in the archive's order, so that both are read side by side and
memory stays flat, however many there are. Symbolic links are kept as such and never followed.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import stat
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from bluegreen.data.digests import CHUNK, Digested
from bluegreen.errors import DataError

LEVEL = 3  # of gzip: most of what apps keep in files is compressed already
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of it

Say = Callable[[str], None]


class _Tar(tarfile.TarFile):
    """Whose memory of what it has seen we clear, so that it does not grow."""

    copybufsize: int
    members: list[tarfile.TarInfo]
    inodes: dict[tuple[int, int], str]


def write_archive(
    shared: Path, paths: Sequence[str], archive: Path, listing: Path, *, say: Say
) -> dict[str, dict[str, int]]:
    """Put ``paths`` of ``shared`` into ``archive``; how many files and bytes there were of each.

    Raises OSError, and DataError for a file that shrank meanwhile.
    """
    found = {}
    with (
        archive.open("xb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=LEVEL, mtime=0) as packed,
        _Tar(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        listing.open("x") as lines,
    ):
        tar.copybufsize = CHUNK
        for path in paths:
            counted: Counter[str] = Counter(files=0, bytes=0)
            for member in _walk(shared / path):
                size = _add(tar, lines, member, str(member.relative_to(shared)), say=say)
                if size is not None:
                    counted.update(files=1, bytes=size)
                    if counted["files"] % 1000 == 0:
                        say(f"{path}: {counted['files']} files")
            found[path] = dict(counted)
    return found


def _walk(top: Path) -> Iterator[Path]:
    yield top
    if top.is_symlink() or not top.is_dir():
        return
    try:
        inside = sorted(os.listdir(top))
    except FileNotFoundError:
        return  # removed since
    for name in inside:
        yield from _walk(top / name)


def _add(tar: _Tar, lines: IO[str], path: Path, name: str, *, say: Say) -> int | None:
    """Add one member; the bytes of a regular file, None of anything else."""
    try:
        kind = path.lstat().st_mode
        if stat.S_ISREG(kind):
            # Without O_NONBLOCK a pipe that has taken the file's place would keep us waiting.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(path, flags), "rb") as file:
                return _add_file(tar, lines, file, name)
        if not (stat.S_ISDIR(kind) or stat.S_ISLNK(kind)):
            say(f"{name} is left out: it is a socket, a pipe or a device")
            return None
        member = tar.gettarinfo(str(path), name)
    except FileNotFoundError:
        return None  # removed since it was seen
    tar.addfile(member)
    tar.members.clear()
    _list(lines, member, NOTHING)
    return None


def _add_file(tar: _Tar, lines: IO[str], file: IO[bytes], name: str) -> int:
    member = tar.gettarinfo(arcname=name, fileobj=file)
    tar.inodes.clear()  # each name is a file of its own
    tar.members.clear()
    digested = Digested(file)
    try:
        tar.addfile(member, digested)
    except OSError as error:
        if digested.bytes < member.size and error.errno is None:
            raise DataError(
                f"{name} shrank while it was read",
                remedy="back up again; a file that is rewritten in place all the time is better "
                "backed up by a command",
            ) from error
        raise
    tar.members.clear()
    _list(lines, member, digested.sha256)
    return member.size


def _list(lines: IO[str], member: tarfile.TarInfo, sha256: str) -> None:
    line = [member.name, member.type.decode(), sha256, member.size]
    lines.write(json.dumps(line) + "\n")


class DamagedArchiveError(DataError):
    """An archive does not hold what its listing says."""


Sink = Callable[[tarfile.TarInfo, Digested], None]
"""Takes a member, and reads its content."""


def read_archive(archive: Digested, listing: Path, sink: Sink | None = None) -> None:
    """Read the whole of ``archive``, each member beside its line of ``listing``.

    Raises DamagedArchiveError that names the first member which is not what it was, and OSError.
    """
    try:
        with (
            listing.open() as lines,
            gzip.GzipFile(fileobj=archive, mode="rb") as packed,  # type: ignore[call-overload]
            _Tar(fileobj=packed, mode="r") as tar,
        ):
            while (member := tar.next()) is not None:
                tar.members.clear()
                _read_member(tar, member, lines.readline(), sink)
            if lines.readline():
                raise _damaged("it ends too early")
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, ValueError, zlib.error) as error:
        raise _damaged(str(error)) from error


def _read_member(tar: _Tar, member: tarfile.TarInfo, line: str, sink: Sink | None) -> None:
    with contextlib.ExitStack() as opened:
        content: Any = opened.enter_context(open(os.devnull, "rb"))
        if member.isreg():
            content = opened.enter_context(tar.extractfile(member) or content)
        digested = Digested(content)
        if sink is not None:
            sink(member, digested)
        read = digested.drain()
    if json.loads(line or "null") != [
        member.name, member.type.decode(), read.sha256, member.size
    ]:  # fmt: skip
        raise _damaged(f"{member.name} is not what it was")


def _damaged(why: str) -> DamagedArchiveError:
    return DamagedArchiveError(f"the archive is damaged: {why}", remedy="use another backup")
