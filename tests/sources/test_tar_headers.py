"""Headers of tar archives, which are read by a shorter way than the standard library's."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluegreen.sources.archive_rules import RefusedArchiveError, parts_of
from bluegreen.sources.tar_archive import Member
from bluegreen.sources.tar_header import Usual, usual
from tests.sources.archives import unpacked

FIELDS = ("name", "mode", "size", "mtime", "type", "linkname", "chksum")
FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT]


def read(kind: type[tarfile.TarInfo], header: bytes) -> dict[str, object] | str:
    try:
        member = kind.frombuf(header, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, RefusedArchiveError) as error:
        return type(error).__name__
    found = {name: getattr(member, name) for name in FIELDS}
    return {**found, "parts": tuple(part for part in member.name.split("/") if part)}


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_header_is_read_as_the_standard_library_reads_it(data: st.DataObject) -> None:
    letters = st.text(alphabet="ab./é ", min_size=1, max_size=12)
    one = tarfile.TarInfo(data.draw(letters | st.just("/".join(["long" * 12] * 4))))
    one.type = data.draw(st.sampled_from([b"0", b"5", b"2", b"1", b"\0", b"3", b"x", b"L"]))
    one.mode, one.mtime = data.draw(st.integers(0, 0o7777)), data.draw(st.integers(0, 2**33 - 1))
    one.size = data.draw(st.integers(0, 2**21))
    one.linkname = data.draw(st.just("") | letters)
    header = bytearray(one.tobuf(format=data.draw(st.sampled_from(FORMATS)))[-512:])
    for at in data.draw(st.lists(st.integers(0, 511), max_size=2)):
        header[at] = data.draw(st.sampled_from([0, 32, 47, 48, 55, 56, 0x80, 0xFF]))
    if data.draw(st.booleans()):  # with a sum that is right again
        total = sum(header) - sum(header[148:156]) + 8 * 32
        header[148:156] = b"%06o\0 " % total
    ours, theirs = read(Member, bytes(header)), read(tarfile.TarInfo, bytes(header))
    assert ours == theirs or ours == "RefusedArchiveError"
    if (short := usual(bytes(header))) is not None:
        assert isinstance(theirs, dict)
        assert (short.mode, short.size, short.changed) == (
            theirs["mode"], theirs["size"], theirs["mtime"],
        )  # fmt: skip
        assert short.is_directory == (theirs["type"] == tarfile.DIRTYPE)
        assert theirs["type"] in (tarfile.DIRTYPE, tarfile.REGTYPE)
        # Slashes that mean nothing may differ.
        assert tuple(part for part in short.name.split("/") if part) == theirs["parts"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("kind", "size"), [(tarfile.REGTYPE, 7), (tarfile.DIRTYPE, 0)])
def test_files_and_directories_are_usual(form: Literal[0, 1], kind: bytes, size: int) -> None:
    one = tarfile.TarInfo("a/é")
    one.type, one.size, one.mode, one.mtime = kind, size, 0o640, 9
    is_directory = kind == tarfile.DIRTYPE
    short = usual(one.tobuf(format=form))
    assert short == Usual("a/é/" if is_directory else "a/é", is_directory, 0o640, size, 9)


def test_what_pax_says_of_all_members_holds_for_usual_ones(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(
        fileobj=made, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"mtime": "5"}
    ) as archive:
        for name in ("a", "b", "c"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    tree = unpacked(made.getvalue(), tmp_path / "tree")
    assert [(tree / name).stat().st_mtime for name in ("a", "b", "c")] == [5, 5, 5]


@pytest.mark.parametrize(
    "name", ["a", "a/b.c", "a/..b/c..", ".a/...", "x" * 255, "/".join("x" * 64)]
)
def test_a_plain_name_is_its_parts(name: str) -> None:
    assert parts_of(name) == tuple(name.split("/"))


@given(name=st.text(alphabet="ab./\0é\n", max_size=12))
def test_no_name_has_parts_that_lead_elsewhere(name: str) -> None:
    try:
        parts = parts_of(name)
    except RefusedArchiveError:
        assert name.startswith("/") or ".." in name.split("/") or "\0" in name
        return
    assert parts == tuple(part for part in name.split("/") if part not in ("", "."))
    assert ".." not in parts
