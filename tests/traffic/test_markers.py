"""The marker files by themselves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.model import Hold, Share, Slot, Traffic
from bluegreen.traffic.markers import Markers
from bluegreen.traffic.plan import Planner
from tests.marks import marker_names


@pytest.fixture
def markers(tmp_path: Path) -> Markers:
    return Markers(tmp_path / "traffic")


def names(markers: Markers) -> set[str]:
    """Of all markers; the directory in which some are is not there without them."""
    assert not markers.special.is_dir() or any(markers.special.iterdir())
    return marker_names(markers.directory)


def test_the_first_switch_names_the_slot_and_opens(markers: Markers) -> None:
    markers.close()
    assert names(markers) == {"closed"}
    markers.switch(Slot.GREEN)
    assert names(markers) == {"green"}


def test_a_later_switch_is_a_rename_and_leaves_closed_alone(markers: Markers) -> None:
    markers.switch(Slot.BLUE)
    inode = (markers.directory / "blue").stat().st_ino
    markers.close()
    markers.switch(Slot.GREEN)
    assert names(markers) == {"green", "closed"}
    assert (markers.directory / "green").stat().st_ino == inode


def test_a_switch_to_the_named_slot_changes_nothing(markers: Markers) -> None:
    markers.switch(Slot.BLUE)
    markers.close()
    markers.switch(Slot.BLUE)
    assert names(markers) == {"blue", "closed"}


def test_a_switch_resolves_two_markers(markers: Markers) -> None:
    markers.switch(Slot.BLUE)
    (markers.directory / "green").touch()
    markers.switch(Slot.BLUE)
    assert names(markers) == {"blue"}


@pytest.mark.parametrize(
    "traffic",
    [
        Traffic(active=None, closed=True),
        Traffic(active=Slot.BLUE, closed=False),
        Traffic(active=Slot.GREEN, closed=True),
    ],
)
@pytest.mark.parametrize("start", [set(), {"blue"}, {"green", "closed"}, {"blue", "green"}])
def test_any_state_can_be_restored(markers: Markers, start: set[str], traffic: Traffic) -> None:
    markers.directory.mkdir()
    for name in start:
        if name == "closed":
            markers.close()
        else:
            (markers.directory / name).touch()
    markers.restore(traffic)
    expected = {traffic.active.value} if traffic.active else set()
    assert names(markers) == expected | ({"closed"} if traffic.closed else set())


def test_a_hold_and_closed_leave_one_another_alone(markers: Markers) -> None:
    hold = Hold(since=1.0, until=2.0, by="a test")
    markers.switch(Slot.BLUE)
    markers.hold(hold)
    markers.close()
    markers.open()
    assert names(markers) == {"blue", "hold"}
    markers.close()
    markers.release()
    assert names(markers) == {"blue", "closed"}


def test_what_a_killed_daemon_has_half_written_is_removed(markers: Markers) -> None:
    markers.switch(Slot.BLUE)
    markers.close()
    (markers.special / ".hold.0a1b2c3d.tmp").touch()
    markers.leave_special()
    assert names(markers) == {"blue", "closed", ".hold.0a1b2c3d.tmp"}
    markers.open()
    assert names(markers) == {"blue"}


def test_everybody_may_look_into_special_whatever_the_umask(markers: Markers) -> None:
    before = os.umask(0o077)
    try:
        markers.close()
    finally:
        os.umask(before)
    assert markers.special.stat().st_mode & 0o777 == 0o755


def test_a_stamp_says_whether_any_marker_has_changed(
    markers: Markers, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A disk may take longer than a second to flush what has just been changed.
    monkeypatch.setattr("bluegreen.traffic.markers.SETTLED", 3_600_000_000_000)

    def settle() -> None:
        for directory in (markers.directory, markers.special):
            if directory.is_dir():
                os.utime(directory, (1e9, 1e9))

    assert markers.stamp() is None
    hold = Hold(since=0.0, until=1.0, by="somebody")
    changes: list[Callable[[], None]] = [
        lambda: markers.switch(Slot.BLUE), lambda: markers.switch(Slot.GREEN), markers.close,
        lambda: markers.hold(hold), markers.open, lambda: markers.hold(hold), markers.release,
    ]  # fmt: skip
    for change in changes:
        change()
        assert markers.stamp() is None, "of this very moment"
        settle()
        stamp = markers.stamp()
        assert stamp is not None
        assert markers.are_as_of(stamp)
        with_special = markers.special.is_dir()
        (markers.special if with_special else markers.directory).joinpath("other").touch()
        assert not markers.are_as_of(stamp)
        (markers.special if with_special else markers.directory).joinpath("other").unlink()


def test_a_share_that_nobody_is_in_yet_goes_with_the_last_marker(markers: Markers) -> None:
    markers.switch(Slot.BLUE)
    markers.tell_of_requests(True)
    (markers.special / "share").mkdir()  # the daemon was killed then
    assert markers.share is None
    markers.tell_of_requests(False)
    assert not markers.special.exists()


def test_a_share_stays_as_other_markers_go(markers: Markers) -> None:
    markers.switch(Slot.BLUE)
    markers.tell_of_requests(True)
    markers.grow_share(Share(slot=Slot.GREEN, percent=3))
    markers.tell_of_requests(False)
    assert markers.share == Share(slot=Slot.GREEN, percent=3)
    markers.end_share()
    assert not markers.special.exists()


def test_a_share_that_is_left_of_a_switch_that_was_made_is_ended_and_no_other(
    markers: Markers,
) -> None:
    planner = cast("Any", SimpleNamespace(markers=lambda _: markers))
    share = Share(slot=Slot.GREEN, percent=3)
    markers.switch(Slot.BLUE)
    markers.grow_share(share)
    Planner.repair_markers(planner, "shop", Traffic(active=Slot.BLUE, closed=False, share=share))
    assert markers.share == share
    markers.switch(Slot.GREEN)  # and killed before the share was ended
    Planner.repair_markers(planner, "shop", Traffic(active=Slot.GREEN, closed=False, share=share))
    assert names(markers) == {"green"}
    assert not markers.special.exists()
