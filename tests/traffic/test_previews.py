"""The keys of previews by themselves, beside what else is special."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from bluegreen.model import Hold, Slot
from bluegreen.traffic.markers import Markers
from bluegreen.traffic.previews import Preview, Previews
from tests.marks import marker_names

HOLD = Hold(since=1.0, until=2.0, by="a test")
CHANGES = {"open", "os.mkdir", "os.chmod", "os.rename", "os.remove", "os.rmdir", "os.listdir"}


@pytest.fixture
def previews(tmp_path: Path) -> Previews:
    return _previews(tmp_path)


def _previews(base: Path) -> Previews:
    found = Previews(base / "previews", Markers(base / "traffic"))
    found.markers.switch(Slot.BLUE)
    return found


def _issue(previews: Previews) -> Preview:
    return previews.issue(Slot.GREEN, until=time.time() + 60, by="a test")


def special(previews: Previews) -> set[str]:
    """What of it there is; the directory is not there without a marker in it."""
    directory = previews.markers.special
    assert not directory.is_dir() or any(directory.iterdir())
    return marker_names(previews.markers.directory) - {"blue"}


def test_nginx_looks_for_keys_from_the_first_to_the_last(previews: Previews) -> None:
    assert special(previews) == set()
    keys = [_issue(previews), _issue(previews)]
    for key in keys:
        assert special(previews) == {"previews"}
        previews.revoke(key)
    assert special(previews) == set()
    previews.revoke(keys[0])
    assert special(previews) == set()


def test_holds_and_closings_leave_it_alone_and_it_them(previews: Previews) -> None:
    markers = previews.markers
    markers.hold(HOLD)
    key = _issue(previews)
    markers.release()
    assert special(previews) == {"previews"}
    markers.close()
    markers.open()
    assert special(previews) == {"previews"}
    markers.close()
    previews.revoke(key)
    assert special(previews) == {"closed"}


def test_everybody_may_look_for_keys_whatever_the_umask(previews: Previews) -> None:
    before = os.umask(0o077)
    try:
        _issue(previews)
    finally:
        os.umask(before)
    assert previews.markers.special.stat().st_mode & 0o777 == 0o755


def test_a_key_that_the_disk_does_not_take_leaves_nothing(previews: Previews) -> None:
    previews.directory.symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        _issue(previews)
    assert special(previews) == set()


def test_a_start_has_nginx_look_for_the_keys_that_another_daemon_has_left(
    previews: Previews,
) -> None:
    _issue(previews)
    shutil.rmtree(previews.markers.special)  # as one that knows no such marker
    previews.settle()
    assert special(previews) == {"previews"}


def _use(previews: Previews) -> None:
    """All that is done with keys, beside a hold."""
    first = _issue(previews)
    previews.markers.hold(HOLD)
    second = _issue(previews)
    previews.revoke(first)
    previews.markers.release()
    previews.revoke(second)


def test_who_is_killed_at_any_instant_leaves_no_key_that_nginx_does_not_look_for(
    tmp_path: Path,
) -> None:
    kept = 0
    for step in range(1, 1000):
        previews = _previews(tmp_path / f"{step}")
        if not _is_killed(step, partial(_use, previews)):
            break
        keys = previews.present()
        assert not keys or (previews.markers.special / "previews").is_file()
        kept += bool(keys)
        # The next daemon starts.
        previews.markers.release()
        previews.remove_unfinished()
        previews.settle()
        left = {name for name in special(previews) if not name.startswith(".")}
        assert left == ({"previews"} if keys else set())
        for key in keys:
            previews.revoke(key)
        assert special(previews) == set()
    else:
        pytest.fail("it does not end")
    assert kept > 5
    assert step > 20
    assert special(previews) == set()


def _is_killed(step: int, does: Callable[[], None]) -> bool:
    """Whether a process that ``does`` it comes to its ``step``th change; it is killed before."""
    pid = os.fork()
    if pid == 0:
        left = step

        def count(event: str, _: object) -> None:
            nonlocal left
            if event in CHANGES:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            does()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def test_threads_that_come_and_go_side_by_side_take_nothing_from_one_another(
    previews: Previews,
) -> None:
    markers = previews.markers
    rounds = range(30)

    def see() -> None:
        for _ in rounds:
            key = _issue(Previews(previews.directory, Markers(markers.directory)))
            assert (markers.special / "previews").is_file()
            previews.revoke(key)

    def hold() -> None:
        for _ in rounds:
            markers.hold(HOLD)
            assert markers.held == HOLD
            markers.release()

    def close() -> None:
        for _ in rounds:
            markers.close()
            assert markers.closed
            markers.open()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(work) for work in (see, see, hold, close)]:
            done.result()
    assert special(previews) == set()
