"""The daemon's start yields to the apps' while a host boots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bluegreen.boot import BOOTING, LIMIT, LOOK, LOOKS, is_booting, processor_times, wait_for_rest


def waits(idle: Iterator[int]) -> tuple[bool, int]:
    """Whether there was rest, and after how many looks; ``idle`` is per cent, look by look."""
    looks: list[float] = []
    passed = rested = 0

    def times() -> tuple[int, int]:
        nonlocal passed, rested
        if looks:
            passed += 100
            rested += next(idle)
        return rested, passed

    return wait_for_rest(times, looks.append), len(looks)


def test_it_waits_until_a_processor_has_had_a_rest_for_a_while() -> None:
    assert waits(iter([0, 80, 50, 80, 80, 80])) == (True, 6)


def test_a_host_at_rest_is_waited_for_no_longer_than_it_takes_to_see_it() -> None:
    assert waits(iter([100] * LOOKS)) == (True, LOOKS)


def test_a_host_that_never_rests_is_not_waited_for_longer_than_the_limit() -> None:
    looks = round(LIMIT / LOOK)
    assert waits(iter([0] * looks)) == (False, looks)


def test_the_kernel_says_how_long_the_processors_were_idle() -> None:
    idle, passed = processor_times()
    assert 0 < idle < passed


@pytest.mark.parametrize(("said", "booting"), [(BOOTING[1], True), ("running", False)])
def test_systemd_says_whether_the_host_boots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, booting: bool
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\necho {said}\nexit 1\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert is_booting() is booting


def test_without_systemd_no_boot_is_known_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not is_booting()
