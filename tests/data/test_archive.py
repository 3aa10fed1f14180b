"""Archives: what goes in comes out, and what has changed in between is named."""

from __future__ import annotations

import gzip
import json
import os
import socket
from pathlib import Path

import pytest

from bluegreen.data.archive import DamagedArchiveError, read_archive, write_archive
from bluegreen.data.digests import Digested
from bluegreen.data.manifest import ARCHIVE, LISTING, Manifest
from bluegreen.data.replacement import Replacement, replacements
from bluegreen.data.staging import stage
from bluegreen.errors import DataError


def said(_: str) -> None:
    pass


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Files of all kinds that an app may have."""
    shared = tmp_path / "shared"
    uploads = shared / "uploads"
    (uploads / "deep").mkdir(parents=True)
    (uploads / "deep/large").write_bytes(os.urandom(3_000_000))
    (uploads / "empty").touch(mode=0o640)
    os.link(uploads / "deep/large", uploads / "same")
    (uploads / "link").symlink_to("/etc/hostname")
    (uploads / "away").symlink_to("..", target_is_directory=True)
    Path(os.fsdecode(os.fsencode(uploads) + b"/caf\xe9\n\xc3\xa9")).write_text("odd")
    (shared / "key.pem").write_text("alone")
    (shared / "left").write_text("not named")
    return shared


def pack(shared: Path, to: Path, *paths: str) -> dict[str, dict[str, int]]:
    to.mkdir(exist_ok=True)
    return write_archive(shared, paths, to / ARCHIVE, to / LISTING, say=said)


def read(at: Path) -> None:
    with (at / ARCHIVE).open("rb") as file:
        read_archive(Digested(file), at / LISTING)


def content(top: Path) -> dict[bytes, tuple[int, float, bytes | str]]:
    """Everything below ``top``: mode, time, and text or target."""
    found: dict[bytes, tuple[int, float, bytes | str]] = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        inside = (
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        )
        when = 0.0 if path.is_symlink() else status.st_mtime
        found[os.fsencode(path.relative_to(top))] = (status.st_mode, when, inside)
    return found


def test_what_was_archived_is_staged_as_it_was(shared: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    counted = pack(shared, backup, "uploads", "key.pem")
    assert counted["key.pem"] == {"files": 1, "bytes": 5}
    assert counted["uploads"]["files"] == 4
    read(backup)
    before = content(shared)
    manifest = Manifest(id=1, app="shop", created_at=0, reason="", version=None, files=counted)
    stage(backup, manifest, shared, 7, said)
    for replacement in replacements(shared, counted, 7):
        assert replacement.staged.exists()
        replacement.carry_out()
        replacement.clear()
    assert content(shared) == before


def test_a_socket_is_left_out_and_said(shared: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(shared / "uploads/s"))
        (tmp_path / "b").mkdir()
        write_archive(
            shared, ["uploads"], tmp_path / "b" / ARCHIVE, tmp_path / "b" / LISTING,
            say=lines.append,
        )  # fmt: skip
    assert lines == ["uploads/s is left out: it is a socket, a pipe or a device"]
    read(tmp_path / "b")


def test_a_member_that_is_not_what_was_read_is_named(shared: Path, tmp_path: Path) -> None:
    pack(shared, tmp_path / "b", "uploads")
    listing = tmp_path / "b" / LISTING
    lines = [json.loads(line) for line in listing.read_text().splitlines()]
    (large,) = [line for line in lines if line[0] == "uploads/deep/large"]
    large[2] = "0" * 64
    listing.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DamagedArchiveError, match="uploads/deep/large is not what it was"):
        read(tmp_path / "b")


def test_a_member_that_is_missing_or_too_much_is_found(shared: Path, tmp_path: Path) -> None:
    pack(shared, tmp_path / "b", "uploads")
    listing = tmp_path / "b" / LISTING
    text = listing.read_text()
    listing.write_text(text + text.splitlines()[-1] + "\n")
    with pytest.raises(DamagedArchiveError, match="too early"):
        read(tmp_path / "b")
    listing.write_text("".join(text.splitlines(keepends=True)[:-1]))
    with pytest.raises(DamagedArchiveError, match="is not what it was"):
        read(tmp_path / "b")


@pytest.mark.parametrize("at", [0.1, 0.5, 0.999])
def test_an_archive_of_which_a_byte_was_flipped_does_not_read(
    shared: Path, tmp_path: Path, at: float
) -> None:
    pack(shared, tmp_path / "b", "uploads")
    archive = tmp_path / "b" / ARCHIVE
    data = bytearray(archive.read_bytes())
    data[int(len(data) * at)] ^= 0x40
    archive.write_bytes(data)
    with pytest.raises(DamagedArchiveError):
        read(tmp_path / "b")


def test_an_archive_that_was_cut_short_does_not_read(shared: Path, tmp_path: Path) -> None:
    pack(shared, tmp_path / "b", "uploads")
    archive = tmp_path / "b" / ARCHIVE
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(DamagedArchiveError):
        read(tmp_path / "b")


def test_a_member_that_leads_out_is_never_followed(shared: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (shared / "uploads/a").symlink_to(outside, target_is_directory=True)
    pack(shared, tmp_path / "b", "uploads")
    archive, listing = tmp_path / "b" / ARCHIVE, tmp_path / "b" / LISTING
    with gzip.open(archive) as packed:
        tar = packed.read()
    # As if the file below had come through the link: what no archive of ours holds.
    evil = tar.replace(b"uploads/same".ljust(100, b"\0"), b"uploads/a/me".ljust(100, b"\0"))
    assert evil != tar
    with gzip.open(archive, "wb") as repacked:
        repacked.write(_with_checksums(evil))
    listing.write_text(listing.read_text().replace("uploads/same", "uploads/a/me"))
    manifest = Manifest(
        id=1, app="shop", created_at=0, reason="", version=None, files={"uploads": {}}
    )
    with pytest.raises(DataError):
        stage(tmp_path / "b", manifest, shared, 7, said)
    assert not list(outside.iterdir())
    Replacement(target=shared / "uploads", operation=7).discard()


def _with_checksums(tar: bytes) -> bytes:
    """Headers made valid again, where a name in them has changed."""
    blocks = bytearray(tar)
    for at in range(0, len(blocks), 512):
        if blocks[at : at + 12] == b"uploads/a/me":
            header = blocks[at : at + 512]
            header[148:156] = b" " * 8
            blocks[at + 148 : at + 156] = b"%06o\0 " % sum(header)
    return bytes(blocks)
