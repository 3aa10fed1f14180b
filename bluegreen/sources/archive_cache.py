"""Archives that were verified, kept in the app's cache under their SHA-256.

``archives/DIGEST`` is an archive, ``archives/DIGEST.whole`` says how the file was when it was read
through and hashed, ``archives/DIGEST.minisig`` is the signature that it came with, and
``archives/KEY.json`` says what an address has given last. Only the daemon's user may enter: what is
unpacked is what was verified.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from bluegreen.files import rename_durably, write_atomically
from bluegreen.sources.interruptible import Stop

SPARE = 2  # archives that are kept beside those of the trees
_CHUNK = 2**20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PART = ".part-"
_Seen = list[int]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What ``url`` gave last, and what showed that it is right. ``at`` is Unix seconds."""

    url: str
    digest: str
    size: int
    etag: str | None
    at: float
    checksums: str | None  # the address of the file that named its digest
    signature: str | None  # a minisign signature file


def is_digest(text: str) -> bool:
    """Whether it has the form of a SHA-256 as it is written here."""
    return _DIGEST.fullmatch(text) is not None


class ArchiveCache:
    """The archives of one app. Blocking; use it under the cache's lock, but for ``open``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        """Make the directory. Raises OSError."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def clear_leftovers(self) -> None:
        """Remove what a killed download has left. Raises OSError."""
        for left in self.directory.glob(f"{_PART}*"):
            left.unlink(missing_ok=True)

    def new_part(self) -> Path:
        return self.directory / f"{_PART}{secrets.token_hex(8)}"

    def path(self, digest: str) -> Path:
        """Where the archive is, or would be. Raises ValueError on what is no digest."""
        if not is_digest(digest):
            raise ValueError(f"{digest!r} is no SHA-256")
        return self.directory / digest

    def open(self, digest: str, stop: Stop) -> BinaryIO | None:
        """The archive, found to be itself; None for one that is not there.

        It is read through, unless nobody has touched it since that was last done: whoever relies
        on its bytes hashes those once more. A damaged one is removed. Raises OSError.
        """
        try:
            descriptor = os.open(self.path(digest), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        file = open(descriptor, "rb", buffering=0)  # noqa: SIM115 - given to the caller
        try:
            seen = _seen(descriptor)  # before it is read, so that no change goes unnoticed
            if self._seen_whole(digest) == seen:
                return file
            if _sha256(file, stop) == digest:
                self._note_whole(digest, seen)
                file.seek(0)
                return file
        except BaseException:
            file.close()
            raise
        file.close()
        self._remove(digest)
        return None

    def doubt(self, digest: str) -> None:
        """Let it be read through, and fetched anew, the next time. Raises OSError."""
        self._unread(digest)
        for path, record in self._records().items():
            if record.digest == digest:
                self._write(path, replace(record, etag=None))

    def _unread(self, digest: str) -> None:
        self._whole(digest).unlink(missing_ok=True)

    def _remove(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)
        self._signature(digest).unlink(missing_ok=True)
        self._unread(digest)

    def keep(self, part: Path, digest: str) -> None:
        """Let a verified download be the archive ``digest``, durably."""
        path = self.path(digest)
        rename_durably(part, path)
        with path.open("rb") as kept:
            self._note_whole(digest, _seen(kept.fileno()))  # it was hashed as it came

    def remember(self, record: Record) -> None:
        if record.signature is not None:
            write_atomically(self._signature(record.digest), record.signature, mode=0o600)
        self._write(self._record(record.url), record)

    def _write(self, path: Path, record: Record) -> None:
        write_atomically(path, json.dumps(asdict(record)) + "\n", mode=0o600)

    def _records(self) -> dict[Path, Record]:
        return {
            path: record
            for path in self.directory.glob("*.json")
            if (record := _read(path)) is not None
        }

    def recall(self, url: str) -> Record | None:
        """What is remembered of ``url``."""
        record = _read(self._record(url))
        return record if record is not None and record.url == url else None

    def signature(self, digest: str) -> str | None:
        """What an archive was last verified by, if a signature was asked for then."""
        with contextlib.suppress(OSError, ValueError):
            return self._signature(digest).read_text()
        return None

    def prune(self, used: Collection[str]) -> None:
        """Remove all archives but those that are ``used``, and the `SPARE` newest others."""
        records = self._records()
        newest = sorted(records.values(), key=lambda record: record.at, reverse=True)
        others = dict.fromkeys(r.digest for r in newest if r.digest not in used)
        kept = {*used, *list(others)[:SPARE]}
        for path in self.directory.iterdir():
            if is_digest(path.name) and path.name not in kept:
                self._remove(path.name)
        for path, record in records.items():
            if record.digest not in kept:
                path.unlink(missing_ok=True)

    def _signature(self, digest: str) -> Path:
        return self.path(digest).with_suffix(".minisig")

    def _whole(self, digest: str) -> Path:
        return self.path(digest).with_suffix(".whole")

    def _seen_whole(self, digest: str) -> _Seen | None:
        with contextlib.suppress(OSError, ValueError):
            found: _Seen = json.loads(self._whole(digest).read_text())
            return found
        return None

    def _note_whole(self, digest: str, seen: _Seen) -> None:
        with contextlib.suppress(OSError):  # then it is read through again
            write_atomically(self._whole(digest), json.dumps(seen), mode=0o600, durable=False)

    def _record(self, url: str) -> Path:
        return self.directory / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"


def _read(path: Path) -> Record | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        record = Record(**json.loads(path.read_text()))
        if is_digest(record.digest):
            return record
    return None


def _seen(descriptor: int) -> _Seen:
    """What changes with a file: whoever writes to it cannot choose the time of that change."""
    status = os.fstat(descriptor)
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _sha256(file: BinaryIO, stop: Stop) -> str:
    digest = hashlib.sha256()
    while data := file.read(_CHUNK):
        stop.check()
        digest.update(data)
    return digest.hexdigest()
