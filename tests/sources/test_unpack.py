"""Archives become trees, and what does not belong in a release is refused."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluegreen.sources.archive_rules import Bounds, RefusedArchiveError
from bluegreen.sources.interruptible import Stop, StoppedError
from bluegreen.sources.unpack import unpack
from tests.sources.archives import FILES, member, tar_by, tar_of, unpacked
from tests.sources.repositories import files_in

Filler = Callable[[tarfile.TarFile], None]
STRIPPED = {"app.py": "one", "bin/run": "#!/bin/sh\n", "docs/read.me": "read"}


def zip_of(entries: dict[str, tuple[int, bytes]]) -> bytes:
    """A zip archive of names, with modes and contents."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (mode, content) in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return made.getvalue()


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w:"])
def test_each_compression_is_told_by_its_first_bytes(tmp_path: Path, mode: str) -> None:
    tree = unpacked(tar_of(FILES, mode=mode), tmp_path / "tree")
    assert files_in(tree) == STRIPPED
    assert os.access(tree / "bin/run", os.X_OK)
    assert not os.access(tree / "app.py", os.X_OK)
    assert (tree / "app.py").stat().st_mtime == 10**9


def test_a_zip_archive_is_a_tree_too(tmp_path: Path) -> None:
    archive = zip_of(
        {
            "shop/": (stat.S_IFDIR | 0o755, b""),
            "shop/bin/run": (stat.S_IFREG | 0o4755, b"#!"),
            "shop/latest": (stat.S_IFLNK | 0o777, b"bin/run"),
            "shop/plain": (0, b"x"),
        }
    )
    tree = unpacked(archive, tmp_path / "tree")
    assert files_in(tree) == {"bin/run": "#!", "latest": "#!", "plain": "x"}
    assert os.readlink(tree / "latest") == "bin/run"
    assert stat.S_IMODE((tree / "bin/run").stat().st_mode) == 0o755


def test_several_gzip_parts_with_zeros_between_are_one_archive(tmp_path: Path) -> None:
    plain = tar_of(FILES, mode="w:")
    archive = gzip.compress(plain[:700]) + b"\0" * 512 + gzip.compress(plain[700:])
    assert files_in(unpacked(archive, tmp_path / "tree")) == STRIPPED


@pytest.mark.parametrize(
    ("files", "strip", "left"),
    [
        ({"a/x": "1", "a/y": "2"}, None, {"x": "1", "y": "2"}),
        ({"a/a": "1"}, None, {"a": "1"}),
        ({"./a/x": "1", "a/b/y": "2"}, None, {"x": "1", "b/y": "2"}),
        ({"a/x": "1", "b/y": "2"}, None, {"a/x": "1", "b/y": "2"}),
        ({"x": "1"}, None, {"x": "1"}),
        ({"a/x": "1"}, 0, {"a/x": "1"}),
        ({"a/b/x": "1", "a/y": "2", "z": "3"}, 2, {"x": "1"}),
    ],
)
def test_leading_directories_are_left_out(
    tmp_path: Path, files: dict[str, str], strip: int | None, left: dict[str, str]
) -> None:
    assert files_in(unpacked(tar_of(files), tmp_path / "tree", strip=strip)) == left


def test_an_archive_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedArchiveError, match="nothing is in it"):
        unpacked(tar_of(FILES), tmp_path / "one", strip=9)
    with pytest.raises(RefusedArchiveError, match="nothing is in it"):
        unpacked(tar_of({}), tmp_path / "two")


def test_links_within_the_release_are_kept(tmp_path: Path) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        member("shop/hard", kind=tarfile.DIRTYPE)(archive)
        member("shop/lib/one.py", b"1")(archive)
        member("shop/lib/now", kind=tarfile.SYMTYPE, to="../lib/one.py")(archive)
        member("shop/later", kind=tarfile.SYMTYPE, to="data/not-there-yet")(archive)
        member("shop/hard/two.py", kind=tarfile.LNKTYPE, to="shop/lib/one.py")(archive)

    tree = unpacked(tar_by(fill), tmp_path / "tree")
    assert os.readlink(tree / "lib/now") == "../lib/one.py"
    assert (tree / "hard/two.py").read_text() == "1"
    assert (tree / "later").is_symlink()


def test_modes_are_for_the_group_where_the_directory_is(tmp_path: Path) -> None:
    trees = tmp_path / "trees"
    trees.mkdir()
    trees.chmod(0o2775)
    mask = os.umask(0o007)
    try:
        tree = unpacked(tar_of(FILES), trees / "1-blue")
    finally:
        os.umask(mask)
    assert (tree / "bin").stat().st_mode & stat.S_ISGID
    assert stat.S_IMODE((tree / "bin/run").stat().st_mode) == 0o775
    assert stat.S_IMODE((tree / "app.py").stat().st_mode) == 0o664


SYM, HARD, DIR = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
REFUSED: list[tuple[str, list[Filler]]] = [
    ("an absolute path", [member("/etc/cron.d/x", b"x")]),
    ("leads upwards", [member("a/../../x", b"x")]),
    ("leads upwards", [member("..", kind=DIR)]),
    ("absolute path", [member("a/x", kind=SYM, to="/etc/passwd")]),
    ("leads out", [member("a/x", kind=SYM, to="../../x")]),
    ("leads out", [member("a/x", b""), member("b", kind=SYM, to="..")]),
    # After the top directory is left out, this leads beside the release.
    ("leads out", [member("a/x", b""), member("a/y", kind=SYM, to="../a/x")]),
    ("leads out", [member("x", b""), member("a/b", kind=SYM, to="../c/d"),
                   member("c/d", kind=SYM, to="../.."), ]),
    ("never arrives", [member("x", b""), member("a", kind=SYM, to="b"),
                       member("b", kind=SYM, to="a")]),
    ("no file before it", [member("a/x", kind=HARD, to="a/y")]),
    ("the absolute path", [member("a/x", kind=HARD, to="/etc/passwd")]),
    ("leads upwards", [member("a/x", kind=HARD, to="../../etc/passwd")]),
    ("one name for two things", [member("a", kind=SYM, to="b"), member("a/x", b"x"),
                                 member("c", b"")]),
    ("one name for two things", [member("a/x", b"x"), member("a", kind=SYM, to="b"),
                                 member("c", b"")]),
    ("one name for two things", [member("a", b"x"), member("a/x", b"x"), member("c", b"")]),
    ("one name for two things", [member("c", b""), member("a/x", b"x"), member("a", b"")]),
    ("a device", [member("a/null", kind=tarfile.CHRTYPE)]),
    ("a device", [member("a/pipe", kind=tarfile.FIFOTYPE)]),
    ("255 bytes", [member("a/" + "x" * 256, b"")]),
    ("1024 bytes", [member("/".join(["x" * 100] * 12), b"")]),
    ("64 directories", [member("/".join("x" * 70), b"")]),
]  # fmt: skip


@pytest.mark.parametrize(("why", "fillers"), REFUSED)
def test_what_does_not_belong_in_a_release_is_refused(
    tmp_path: Path, why: str, fillers: list[Filler]
) -> None:
    def fill_all(archive: tarfile.TarFile) -> None:
        for fill in fillers:
            fill(archive)

    archive = tar_by(fill_all)
    with pytest.raises(RefusedArchiveError, match=why):
        unpacked(archive, tmp_path / "place/tree")
    assert os.listdir(tmp_path) == ["place"]
    assert os.listdir(tmp_path / "place") == ["tree"]


@pytest.mark.parametrize(
    ("why", "entries"),
    [
        ("an absolute path", {"/etc/x": (0, b"x")}),
        ("leads upwards", {"../x": (0, b"x")}),
        ("backslashes", {"..\\x": (0, b"x")}),
        ("leads out", {"a": (stat.S_IFLNK | 0o777, b"../x")}),
        ("a link of", {"a": (stat.S_IFLNK | 0o777, b"x" * 2000)}),
        ("a device", {"a": (stat.S_IFIFO | 0o644, b"")}),
        ("one name for two", {"a": (stat.S_IFLNK | 0o777, b"b"), "a/x": (0, b"x"), "c": (0, b"")}),
    ],
)
def test_zip_archives_are_refused_by_the_same_rules(
    tmp_path: Path, why: str, entries: dict[str, tuple[int, bytes]]
) -> None:
    with pytest.raises(RefusedArchiveError, match=why):
        unpacked(zip_of(entries), tmp_path / "tree")


def test_of_two_files_of_one_name_the_later_counts_and_writes_through_no_hard_link(
    tmp_path: Path,
) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        for name in ("one", "two"):
            member("shop/app.py", name.encode())(archive)
            member(f"shop/{name}", kind=HARD, to="shop/app.py")(archive)

    tree = unpacked(tar_by(fill), tmp_path / "tree")
    assert files_in(tree) == {"app.py": "two", "one": "one", "two": "two"}


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w:"])
def test_an_archive_that_is_cut_off_anywhere_is_refused(tmp_path: Path, mode: str) -> None:
    whole = tar_of({f"shop/{n}": f"{n}" * 700 for n in range(4)}, mode=mode)
    # Of zeros at its end, a plain archive has more than it needs.
    ends = range(0, 4 * 3 * 512, 512) if mode == "w:" else range(0, len(whole), 7)
    for number, end in enumerate(ends):
        with pytest.raises(RefusedArchiveError):
            unpacked(whole[:end], tmp_path / str(number))


def test_a_zip_archive_that_is_cut_off_or_altered_is_refused(tmp_path: Path) -> None:
    whole = zip_of({f"shop/{n}": (0, f"{n}".encode() * 500) for n in range(4)})
    altered = bytearray(whole)
    altered[40] ^= 0xFF
    for number, archive in enumerate([whole[:-1], whole[: len(whole) // 2], bytes(altered)]):
        with pytest.raises(RefusedArchiveError):
            unpacked(archive, tmp_path / str(number))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    for number, content in enumerate([b"", b"<html>not found</html>" * 100, b"\x1f\x8b" * 99]):
        with pytest.raises(RefusedArchiveError):
            unpacked(content, tmp_path / str(number))


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, lambda data: bz2.compress(data, 1), lambda data: lzma.compress(data, preset=0)],
)
def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    member_of_zeros = tarfile.TarInfo("zeros")
    member_of_zeros.size = 200 * 2**20
    head = member_of_zeros.tobuf()
    archive = compress(head + bytes(80 * 2**20))
    with pytest.raises(RefusedArchiveError, match="a bomb"):
        unpacked(archive, tmp_path / "tree")
    with pytest.raises(RefusedArchiveError, match="max_unpacked"):
        unpacked(archive, tmp_path / "other", most_bytes=2**20)


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    archive = zip_of({"zeros": (0, bytes(2 * 2**20))})
    with pytest.raises(RefusedArchiveError, match="max_unpacked"):
        unpacked(archive, tmp_path / "tree", most_bytes=2**20)


def test_more_members_than_allowed_are_refused(tmp_path: Path) -> None:
    archive = tar_of({f"a/{n}": "" for n in range(20)})
    with pytest.raises(RefusedArchiveError, match="more than 10"):
        unpacked(archive, tmp_path / "tree", members=10)
    # Directories that only paths name are made too.
    archive = tar_of({"a/b/c/d/e/f/g/h/i/j/k": ""})
    with pytest.raises(RefusedArchiveError, match="more than 10"):
        unpacked(archive, tmp_path / "other", members=10)


def test_headers_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    long_name = tarfile.TarInfo("x")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 2**33
    with pytest.raises(RefusedArchiveError, match="a header of"):
        unpacked(long_name.tobuf(format=tarfile.GNU_FORMAT) + bytes(4096), tmp_path / "one")
    one = tarfile.TarInfo("x")
    one.type, one.size = tarfile.GNUTYPE_LONGNAME, 1
    many = (one.tobuf(format=tarfile.GNU_FORMAT) + b"x" + bytes(511)) * 5000
    with pytest.raises(RefusedArchiveError):
        unpacked(many, tmp_path / "two")


def test_a_size_that_leads_backwards_is_refused(tmp_path: Path) -> None:
    one = tarfile.TarInfo("x")
    one.pax_headers = {"size": "-1024"}
    with pytest.raises(RefusedArchiveError):
        unpacked(one.tobuf(format=tarfile.PAX_FORMAT) + bytes(4096), tmp_path / "tree")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_archive_whatsoever_writes_outside_of_its_tree(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = st.lists(st.sampled_from(["a", "b", "..", ".", "", "c"]), min_size=1, max_size=4)
    paths = names.map("/".join)
    kinds = st.sampled_from([tarfile.REGTYPE, DIR, SYM, HARD])
    members = data.draw(st.lists(st.tuples(paths, kinds, paths), max_size=8))
    place = tmp_path_factory.mktemp("place")
    (place / "secret").write_text("secret")

    def fill(archive: tarfile.TarFile) -> None:
        for name, kind, to in members:
            content = b"x" if kind == tarfile.REGTYPE else b""
            member(name or "x", content, kind=kind, to=to)(archive)

    try:
        tree = unpacked(tar_by(fill, mode="w:"), place / "tree")
    except RefusedArchiveError:
        pass
    else:
        for path in tree.rglob("*"):
            real = os.path.realpath(path)
            assert real == str(tree) or real.startswith(f"{tree}/"), members
    assert sorted(os.listdir(place)) in (["secret", "tree"], ["secret"])
    assert (place / "secret").read_text() == "secret"


@pytest.mark.parametrize("to", ["x", "../x", "../../x", "/x", "b/../../x", "../a/x"])
@pytest.mark.parametrize("name", ["a/n", "/n", "../n", "a/../n", "a/b/n"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, DIR, SYM, HARD, tarfile.CHRTYPE])
def test_what_passes_here_passes_the_filter_of_the_standard_library(
    tmp_path: Path, kind: bytes, name: str, to: str
) -> None:
    data_filter = getattr(tarfile, "data_filter", None)  # not in Debian 12's Python
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, to

    def fill(archive: tarfile.TarFile) -> None:
        member("x", b"x")(archive)
        archive.addfile(found)

    try:
        unpacked(tar_by(fill, mode="w:"), tmp_path / "tree", strip=0)
    except RefusedArchiveError:
        return
    if data_filter is not None:
        data_filter(found, str(tmp_path / "tree"))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damage_anywhere_is_refused_or_harmless(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    archive = bytearray(tar_of(FILES, mode=data.draw(st.sampled_from(["w:", "w:gz", "w:xz"]))))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    place = tmp_path_factory.mktemp("place")
    with contextlib.suppress(RefusedArchiveError):
        unpacked(bytes(archive), place / "tree", most_bytes=2**24)
    assert os.listdir(place) in (["tree"], [])


def test_it_stops_when_nobody_waits_any_more(tmp_path: Path) -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(StoppedError):
        unpack(
            io.BytesIO(tar_of(FILES)), tmp_path / "tree", bounds=Bounds(unpacked=2**20),
            strip=None, stop=stop,
        )  # fmt: skip


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_modes_are_the_same_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        tree = unpacked(tar_of({**FILES, "shop-1/again": "x"}), tmp_path / "tree")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tree.rglob("*")}
    assert [modes[name] for name in ("app.py", "again", "run")] == [0o644, 0o644, 0o755]
