"""Where a report may be written: never in the place of what is no file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bluegreen.cli.report import _write
from bluegreen.errors import RefusedError, UsageError


def test_a_report_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    file = tmp_path / "shop-1.html"
    file.write_text("older")
    _write(file, "newer ↑")
    assert file.read_text() == "newer ↑"
    assert os.listdir(tmp_path) == ["shop-1.html"]


def test_a_report_is_not_put_in_the_place_of_a_pipe_or_a_directory(tmp_path: Path) -> None:
    pipe, directory = tmp_path / "pipe", tmp_path / "directory"
    os.mkfifo(pipe)
    directory.mkdir()
    for taken, what in ((pipe, "a device, a pipe or a socket"), (directory, "a directory")):
        before = stat.S_IFMT(taken.lstat().st_mode)
        with pytest.raises(UsageError, match=what) as refused:
            _write(taken, "text")
        assert "--output -" in refused.value.remedy
        assert stat.S_IFMT(taken.lstat().st_mode) == before
    assert sorted(os.listdir(tmp_path)) == ["directory", "pipe"]


def test_a_link_to_a_pipe_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    link = tmp_path / "stdout"
    link.symlink_to("pipe")
    with pytest.raises(UsageError):
        _write(link, "text")
    assert link.is_symlink()


def test_what_cannot_be_written_is_named_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    file = tmp_path / "file/report.html"
    with pytest.raises(RefusedError, match="cannot be written: Not a directory") as refused:
        _write(file, "text")
    assert refused.value.message.startswith(f"--output: {file} ")
