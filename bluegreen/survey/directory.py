"""A directory as it is looked at: bounded in size, depth and number, and by ordinary files only."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

LARGEST = 256 * 1024  # bytes of a file that is read
DEEPEST = 4  # levels of directories below the top one
MOST_FILES = 5000

# What tools make, fetch or keep for themselves.
SKIPPED = frozenset({
    "node_modules", "venv", ".venv", "env", "virtualenv", "__pycache__", "dist", "build", "target",
    "vendor", "site-packages", "coverage",
})  # fmt: skip


class AppDirectory:
    """Reads within one directory. ``unread`` gathers what could not be read, and why."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.unread: list[str] = []
        # As it was named and as it is: a unit may hold either.
        self._names = sorted({str(path.absolute()), str(self.path)}, key=len, reverse=True)

    def read(self, name: str) -> str | None:
        """The text of a file; None where there is none, or none that can be read."""
        return read_text(self.path / name, name, self.unread)

    def has(self, name: str) -> bool:
        return os.path.isfile(self.path / name)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The files below, nearest first and then by name; links are not followed."""
        found = []
        for name in self._walk():
            found.append(name)
            if len(found) == MOST_FILES:
                self.unread.append(f"only the first {MOST_FILES} files were looked at")
                break
        return tuple(sorted(found, key=lambda name: (name.count("/"), name)))

    @cached_property
    def children(self) -> tuple[str, ...]:
        """The directories directly inside that may be parts of the app."""
        return tuple(
            sorted(
                entry.name
                for entry in self._entries(self.path)
                if entry.is_dir(follow_symlinks=False) and not _skipped(entry.name)
            )
        )

    def inside(self, path: str) -> str | None:
        """An absolute path relative to the directory (``""`` for itself); None if elsewhere."""
        for top in self._names:
            if path.rstrip("/") == top:
                return ""
            if path.startswith(f"{top}/"):
                return os.path.normpath(path[len(top) + 1 :])
        return None

    @property
    def names(self) -> list[str]:
        """The directory's absolute paths, longest first."""
        return self._names

    def _walk(self) -> Iterator[str]:
        waiting = [self.path]
        while waiting:
            directory = waiting.pop(0)
            depth = len(directory.relative_to(self.path).parts)
            for entry in self._entries(directory):
                name = str(Path(entry.path).relative_to(self.path))
                if entry.is_file(follow_symlinks=False) and _printable(name):
                    yield name
                elif (
                    entry.is_dir(follow_symlinks=False)
                    and depth < DEEPEST
                    and not _skipped(entry.name)
                ):
                    waiting.append(Path(entry.path))

    def _entries(self, directory: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(directory) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.unread.append(f"{directory}: {error.strerror}")
            return []


def read_text(file: Path, name: str, unread: list[str]) -> str | None:
    """The text of a small ordinary file, or None; why it is not read is added to ``unread``."""
    try:
        # Opened without waiting: a pipe would keep the reader waiting for ever.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            data = opened.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        unread.append(f"{name}: {error.strerror}")
        return None
    if len(data) > LARGEST:
        unread.append(f"{name}: larger than {LARGEST // 1024} KiB")
        return None
    if b"\0" in data:
        unread.append(f"{name}: not a text")
        return None
    return data.decode(errors="replace")


def joined(part: str, name: str) -> str:
    """``name`` inside ``part``, where ``""`` is the top."""
    return f"{part}/{name}" if part else name


def shown(text: str) -> str:
    """``text`` as one line: names of files may hold what neither TOML nor a terminal can take."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _skipped(name: str) -> bool:
    return name in SKIPPED or name.startswith(".") or not _printable(name)


def _printable(name: str) -> bool:
    """Names with line ends or broken encodings can be written into no file of ours."""
    return name.isprintable()
