"""Whether a backup is still what was written."""

from __future__ import annotations

from pathlib import Path

from bluegreen.data.archive import DamagedArchiveError, read_archive
from bluegreen.data.digests import Digested
from bluegreen.data.manifest import ARCHIVE, LISTING, NAME, Member, read_manifest
from bluegreen.errors import DataError


def verify(directory: Path) -> list[str]:
    """A line for each file of a backup that is missing, damaged, or too much; none: all is well.

    Every byte is read: of the archive each member, too. Raises OSError where the disk cannot be
    read at all.
    """
    try:
        manifest = read_manifest(directory)
    except DataError as error:
        return [error.message]
    there = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    found = [
        f"{directory / name} does not belong to the backup"
        for name in sorted(there - manifest.members.keys() - {NAME})
    ]
    for name, member in manifest.members.items():
        if (wrong := _wrong(directory, name, member)) is not None:
            found.append(f"{directory / name} {wrong}")
    return found


def _wrong(directory: Path, name: str, member: Member) -> str | None:
    path = directory / name
    try:
        with path.open("rb") as file:
            digested = Digested(file)
            inside = None
            if name == ARCHIVE:
                try:
                    read_archive(digested, directory / LISTING)
                except DamagedArchiveError as error:
                    inside = error.message
            read = digested.drain()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if read.bytes != member.bytes:
        return f"is damaged: {read.bytes} bytes, and {member.bytes} were written"
    if read.sha256 != member.sha256:
        return "is damaged: its SHA-256 is not the one that was written"
    return inside
