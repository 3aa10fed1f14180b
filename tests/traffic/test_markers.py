"""The marker files by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.model import Slot, Traffic
from bluegreen.traffic.markers import Markers


@pytest.fixture
def markers(tmp_path: Path) -> Markers:
    return Markers(tmp_path / "traffic")


def names(markers: Markers) -> set[str]:
    return {path.name for path in markers.directory.iterdir()}


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
        (markers.directory / name).touch()
    markers.restore(traffic)
    expected = {traffic.active.value} if traffic.active else set()
    assert names(markers) == expected | ({"closed"} if traffic.closed else set())
