"""What a directory holds, file by file, and copying exactly that."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import SourceError
from bluegreen.sources.disk_space import allocated
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.modes import for_group, is_for_group

CHUNK = 2**20  # bytes copied between looks at whether anybody still waits


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file, directory or symbolic link. ``path`` is relative to the surveyed directory."""

    path: str
    kind: int  # stat.S_IFREG, S_IFDIR or S_IFLNK
    mode: int  # permissions without setuid, setgid and sticky
    size: int = 0  # bytes, of a file
    changed: int = 0  # mtime of a file in nanoseconds
    target: str = ""  # of a link


def survey(directory: Path, stop: Stop) -> list[Entry]:
    """Everything below ``directory``, parents before children. Blocking.

    Raises SourceError on devices, sockets and pipes, on links that lead out of the directory, and
    on what cannot be read.
    """
    root = os.path.realpath(directory)
    entries: list[Entry] = []
    pending = [""]
    while pending:
        inside = pending.pop()
        stop.check()
        try:
            with os.scandir(directory / inside) as found:
                children = sorted(found, key=lambda child: child.name)
            for child in children:
                entry = _entry(f"{inside}{child.name}", child, root)
                entries.append(entry)
                if entry.kind == stat.S_IFDIR:
                    pending.append(f"{entry.path}/")
        except FileNotFoundError as error:
            raise changed(directory, str(error.filename)) from error
        except OSError as error:
            raise _unreadable(Path(error.filename or directory), error) from error
    return entries


def _entry(path: str, child: os.DirEntry[str], root: str) -> Entry:
    status = child.stat(follow_symlinks=False)
    kind, mode = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode) & 0o777
    if kind == stat.S_IFREG:
        return Entry(
            path=path, kind=kind, mode=mode, size=status.st_size, changed=status.st_mtime_ns
        )
    if kind == stat.S_IFDIR:
        return Entry(path=path, kind=kind, mode=mode)
    if kind != stat.S_IFLNK:
        raise SourceError(
            f"{child.path} is a device, a socket or a pipe",
            remedy="a release holds files, directories and symbolic links: remove it",
        )
    target = os.readlink(child.path)
    resolved = os.path.realpath(child.path)
    if os.path.isabs(target) or not (resolved == root or resolved.startswith(f"{root}/")):
        raise SourceError(
            f"{child.path} is a link that leads out of the release: {target}",
            remedy="put the file itself into the release, or list its path in [app] shared after "
            "removing the link",
        )
    return Entry(path=path, kind=kind, mode=mode, target=target)


def fingerprint(entries: Sequence[Entry]) -> str:
    """A digest of names, kinds, permissions, sizes, times and link targets, not of contents."""
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: entry.path):
        digest.update(os.fsencode(f"{entry!r}\n"))
    return digest.hexdigest()


def size_of(entries: Sequence[Entry]) -> int:
    """The bytes that a copy takes on disk, about."""
    return sum(allocated(max(entry.size, 1)) for entry in entries if entry.kind != stat.S_IFLNK)


def copy(directory: Path, entries: Sequence[Entry], tree: Path, stop: Stop) -> None:
    """Make ``tree`` hold ``entries``, only for its owner to enter until others are let in.

    Directories stay writable for their owner; in a tree for a group they are what the umask makes
    them, as a change of mode would take the group from them. Blocking.

    Raises SourceError when a file is not as it was surveyed, and OSError when writing fails.
    """
    tree.mkdir(parents=True, mode=0o700)
    group = is_for_group(tree)
    for entry in entries:
        stop.check()
        target = tree / entry.path
        if entry.kind == stat.S_IFDIR:
            target.mkdir()
            if not group:
                target.chmod(entry.mode | 0o700)
        elif entry.kind == stat.S_IFLNK:
            target.symlink_to(entry.target)
        else:
            mode = for_group(entry.mode) if group else entry.mode
            _copy_file(directory, entry, target, mode, stop)


def _copy_file(directory: Path, entry: Entry, target: Path, mode: int, stop: Stop) -> None:
    path = directory / entry.path
    try:
        # Not blocking: by now a pipe may be where the file was.
        reader = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise changed(directory, str(path)) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    with open(reader, "rb", buffering=0) as source:
        before = os.fstat(reader)
        with target.open("xb", buffering=0) as copied:
            left = entry.size
            while left > 0 and (data := source.read(min(CHUNK, left))):
                stop.check()
                view = memoryview(data)
                while view:
                    view = view[copied.write(view) :]
                left -= len(data)
            os.fchmod(copied.fileno(), mode)
        after = os.fstat(reader)
    wanted = (entry.kind, entry.size, entry.changed)
    seen = [(stat.S_IFMT(s.st_mode), s.st_size, s.st_mtime_ns) for s in (before, after)]
    if left or seen != [wanted, wanted]:
        raise changed(directory, str(path))
    os.utime(target, ns=(entry.changed, entry.changed))


def changed(directory: Path, path: str) -> SourceError:
    return SourceError(
        f"{directory} changed while it was being copied",
        detail=[f"{path} is not what it was a moment ago"],
        remedy="let what writes there finish, then deploy again; better: write a release beside "
        "it and rename it into place",
    )


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(
        f"{path} cannot be read: {error.strerror}",
        remedy=f"make it readable for the user that runs the daemon (uid {os.geteuid()})",
    )
