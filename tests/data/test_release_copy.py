"""A release's tree that is copied so that it runs on a copy of the data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bluegreen.data import release_copy
from bluegreen.data.databases import NoRoomError
from bluegreen.data.release_copy import ReleaseCopy, copy_release


@pytest.fixture
def what(tmp_path: Path) -> ReleaseCopy:
    tree, shared = tmp_path / "trees/11-blue", tmp_path / "shared"
    for directory in (tree / ".venv/bin", tree / "app/deep", shared / "data"):
        directory.mkdir(parents=True)
    copy = tmp_path / "trees/12-green/.bluegreen-rehearsal"
    (copy / "data").mkdir(parents=True)
    (shared / "data/app.db").write_text("real")
    (tree / "data").symlink_to(shared / "data")
    (tree / "app/deep/database").symlink_to("../../../../shared/data/app.db")
    (tree / "app/version").symlink_to("../VERSION")
    (tree / "app/absolute").symlink_to(tree / "VERSION")
    (tree / "app/python").symlink_to("/usr/bin/python3")
    (tree / "app/host").symlink_to(os.path.relpath("/usr/bin", tree / "app"))
    (tree / "VERSION").write_text("v2")
    script = tree / ".venv/bin/serve"
    script.write_text(f"#!{tree}/.venv/bin/python\nDATABASE = '{shared}/data/app.db'\n")
    script.chmod(0o755)
    (tree / "app/other").write_text(f"{tree}-old {shared}s")
    (tree / "app/binary").write_bytes(b"\0" + os.fsencode(tree))
    (tree / "app/closed").mkdir()
    (tree / "app/closed").chmod(0o500)
    return ReleaseCopy(
        tree=str(tree), copy=str(copy / "release"), leads={str(shared): str(copy / "data")}
    )


def test_nothing_in_it_leads_to_the_data_or_to_the_tree(what: ReleaseCopy) -> None:
    tree, copy = Path(what.tree), Path(what.copy)
    (data,) = map(Path, what.leads.values())
    assert copy_release(what) == 4
    assert (copy / "data").readlink() == data / "data"
    assert (copy / "app/deep/database").readlink() == data / "data/app.db"
    assert str((copy / "app/version").readlink()) == "../VERSION"
    assert (copy / "app/absolute").readlink() == copy / "VERSION"
    assert str((copy / "app/python").readlink()) == "/usr/bin/python3"
    assert str((copy / "app/host").readlink()) == "/usr/bin"
    script = copy / ".venv/bin/serve"
    assert script.read_text() == (f"#!{copy}/.venv/bin/python\nDATABASE = '{data}/data/app.db'\n")
    assert os.access(script, os.X_OK)
    # Other names that begin alike, and what is no text, are as they were.
    for name in ("app/other", "app/binary"):
        assert (copy / name).read_bytes() == (tree / name).read_bytes()


def test_what_is_written_into_it_changes_nothing_in_the_tree(what: ReleaseCopy) -> None:
    tree, copy = Path(what.tree), Path(what.copy)
    copy_release(what)
    for name in ("VERSION", "app/binary"):
        before = (tree / name).read_bytes()
        with (copy / name).open("r+b") as file:
            file.write(b"changed")
        assert (tree / name).read_bytes() == before
        assert (copy / name).stat().st_ino != (tree / name).stat().st_ino


def test_times_stay_so_that_what_python_has_compiled_holds(what: ReleaseCopy) -> None:
    source = Path(what.tree) / "VERSION"
    os.utime(source, ns=(1, 1_700_000_000_123_456_789))
    copy_release(what)
    assert (Path(what.copy) / "VERSION").stat().st_mtime_ns == 1_700_000_000_123_456_789


def test_a_full_disk_is_told(what: ReleaseCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: int, target: int) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(release_copy, "_clone", full)
    with pytest.raises(NoRoomError, match="no room for a second copy of the old version"):
        copy_release(what)
