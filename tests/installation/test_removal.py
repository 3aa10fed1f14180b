"""What is removed of the program, whatever an earlier run has left."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.installation.places import LAUNCHERS, Program
from bluegreen.installation.removal import remove_program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """An installed one, with what kills have left of runs before."""
    program = Program(tmp_path / "bluegreen")
    (program.tree("1") / "bin").mkdir(parents=True)
    program.complete("1").write_text("1\n")
    program.libexec.mkdir()
    for name in LAUNCHERS:
        (program.libexec / name).write_text("#!/bin/sh\n")
    program.name("current", "1")
    program.name("previous", "1")
    program.bin.symlink_to("current/bin")
    program.enabled.touch()
    program.going_back.touch()
    (program.base / ".current.0a1b2c3d.tmp").symlink_to("versions/2")
    (program.base / ".enabled.0a1b2c3d.tmp").touch()
    return program


def test_all_of_it_goes(program: Program) -> None:
    remove_program(program, libexec=True)
    assert not program.base.exists()


def test_what_apps_are_started_with_stays_for_them(program: Program) -> None:
    remove_program(program, libexec=False)
    assert list(program.base.iterdir()) == [program.libexec]
    assert {path.name for path in program.libexec.iterdir()} == set(LAUNCHERS)


@pytest.mark.parametrize("gone", ["libexec", "versions"])
def test_it_goes_on_where_a_killed_run_has_ended(program: Program, gone: str) -> None:
    (program.base / gone).rename(program.base.parent / "gone")
    remove_program(program, libexec=True)
    assert not program.base.exists()
