"""One daemon a root, whatever is removed from under it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bluegreen.cli.client import Client
from bluegreen.daemon_lock import holder, only_one
from bluegreen.daemon_root import make_root
from bluegreen.errors import DaemonUnreachableError, RefusedError
from bluegreen.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    make_root(layout)
    return layout


def test_it_is_held_as_long_as_the_daemon_is_there(layout: Layout) -> None:
    assert holder(layout.root) is None
    with only_one(layout):
        assert holder(layout.root) == os.getpid()
    assert holder(layout.root) is None
    with only_one(layout):
        pass


def test_a_second_one_is_refused_though_all_that_names_the_first_was_removed(
    layout: Layout,
) -> None:
    with only_one(layout):
        for path in layout.run.iterdir():
            path.unlink() if path.is_file() else path.rmdir()
        refused = rf"already serves .* \(pid {os.getpid()}\)"
        with pytest.raises(RefusedError, match=refused), only_one(layout):
            pass


def test_the_file_of_an_earlier_daemon_names_nobody(layout: Layout) -> None:
    layout.daemon_pid.write_text("1\n")
    assert holder(layout.root) is None
    with only_one(layout):
        layout.daemon_pid.write_text("1\n")
        assert holder(layout.root) == os.getpid()


def test_it_does_not_begin_on_a_directory_that_was_replaced(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def open_and_replace(path: Path, flags: int) -> int:
        descriptor = opened(path, flags)
        layout.apps.rename(layout.state / "old")
        layout.apps.mkdir()
        return descriptor

    monkeypatch.setattr(os, "open", open_and_replace)
    refused = "was replaced while the daemon started"
    with pytest.raises(RefusedError, match=refused), only_one(layout):
        pass


def test_other_users_cannot_take_it(layout: Layout) -> None:
    assert layout.apps.stat().st_mode & 0o006 == 0


def test_commands_say_that_it_runs_though_its_socket_is_gone(layout: Layout) -> None:
    with only_one(layout):
        layout.daemon_pid.unlink()
        with pytest.raises(DaemonUnreachableError, match=rf"a daemon \(pid {os.getpid()}\) runs"):
            Client(layout.root).get("/v1/apps")
