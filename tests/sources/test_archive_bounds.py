"""Archives of a million entries, and zip archives of any kind: refused, or bounded, or harmless."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluegreen.sources.archive_rules import Bounds, RefusedArchiveError
from bluegreen.sources.decompression import PIECE
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.read_ahead import AHEAD
from bluegreen.sources.unpack import unpack
from tests.sources.archives import unpacked

MILLION = 10**6
BLOCK = 512


class Endless(io.RawIOBase):
    """A tar archive of a million members, each made as it is read."""

    def __init__(self, kind: bytes) -> None:
        one = tarfile.TarInfo(self._name(0))
        one.type, one.linkname = kind, "x" if kind == tarfile.SYMTYPE else ""
        self._block = one.tobuf(format=tarfile.USTAR_FORMAT)
        self._at = 0
        self.read_bytes = 0

    @staticmethod
    def _name(number: int) -> str:
        # The sum of the digits is always the same, and so is the header's checksum.
        return f"a/{number:06d}{999_999 - number:06d}"

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        assert whence == 0
        self._at = offset
        return offset

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        first = self._at // BLOCK
        wanted = range(first, min(first + len(buffer) // BLOCK + 2, MILLION))
        made = b"".join(self._name(n).encode() + self._block[len(self._name(0)) :] for n in wanted)
        part = made[self._at % BLOCK :][: len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        self.read_bytes += len(part)
        return len(part)


@pytest.mark.parametrize(
    ("kind", "members", "why", "most"),
    [
        (tarfile.REGTYPE, 5_000, "more than 5000 files", 5_001),
        (tarfile.DIRTYPE, 5_000, "more than 5000 files", 5_001),
        (tarfile.SYMTYPE, 250_000, "more than 100000 links", 0),
    ],
)
def test_an_archive_of_a_million_entries_is_read_no_further_than_its_bound(
    tmp_path: Path, kind: bytes, members: int, why: str, most: int
) -> None:
    archive = Endless(kind)
    bounds = Bounds(unpacked=2**32, members=members)
    with pytest.raises(RefusedArchiveError, match=why):
        unpack(archive, tmp_path / "tree", bounds=bounds, strip=None, stop=Stop())  # type: ignore[arg-type]
    # What was read ahead of it, too.
    assert archive.read_bytes <= (min(members, 100_000) + 1) * BLOCK + (AHEAD + 2) * PIECE
    assert sum(len(names) for _, _, names in os.walk(tmp_path / "tree")) <= most


def test_a_zip_archive_of_a_million_entries_is_not_even_listed(tmp_path: Path) -> None:
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 8) + bytes(16) + b"a/000000"
    listed = entry * MILLION
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 0xFFFF, 0xFFFF, len(listed), 0, 0)
    with pytest.raises(RefusedArchiveError, match="bytes of names"):
        unpacked(b"PK\x03\x04" + listed + end, tmp_path / "tree")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_zip_archive_whatsoever_writes_outside_of_its_tree(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parts = st.lists(st.sampled_from(["a", "b", "..", ".", "", "c\\d"]), min_size=1, max_size=4)
    paths = parts.map("/".join)
    kinds = st.sampled_from([stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, 0])
    members = data.draw(st.lists(st.tuples(paths, kinds, paths), max_size=8))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, kind, to in members:
            entry = zipfile.ZipInfo(name or "x")
            entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
            archive.writestr(entry, to)
    content = bytearray(made.getvalue())
    for _ in range(data.draw(st.integers(0, 2))):  # some of them damaged
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    place = tmp_path_factory.mktemp("place")
    (place / "secret").write_text("secret")
    with contextlib.suppress(RefusedArchiveError):
        tree = unpacked(bytes(content), place / "tree", most_bytes=2**24)
        for path in tree.rglob("*"):
            real = os.path.realpath(path)
            assert real == str(tree) or real.startswith(f"{tree}/"), members
    assert sorted(os.listdir(place)) in (["secret", "tree"], ["secret"])
    assert (place / "secret").read_text() == "secret"
