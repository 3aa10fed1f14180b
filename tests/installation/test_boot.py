"""The daemon's start yields to the apps' while a host boots."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.host_apply.installed import CHECKOUT

LAUNCHER = CHECKOUT / "systemd/bluegreen-boot"
LOOKS = 30  # within the limit
ENDS = 120  # seconds: each look of the faked sleep is a start of Python
# A sleep in which the processors are idle for as many of 100 ticks as the next line says.
_SLEEP = f"""#!{sys.executable}
from pathlib import Path
here = Path(__file__).parent
count = here / "slept"
number = int(count.read_text()) if count.exists() else 0
count.write_text(str(number + 1))
idle = int((here / "idle").read_text().split()[number])
stat = here / "stat"
ticks = [int(word) for word in stat.read_text().splitlines()[0].split()[1:]]
ticks[3] += idle
ticks[4] += (100 - idle) // 2
ticks[0] += 100 - idle - (100 - idle) // 2
stat.write_text("cpu  " + " ".join(map(str, ticks)) + "\\ncpu0 1 2 3\\n")
"""


def waited(directory: Path, idle: Sequence[int], said: str = "starting") -> int:
    """How often it looks on a host of which systemd says so; ``idle``: per cent, look by look."""
    (directory / "idle").write_text(" ".join(map(str, idle)))
    (directory / "stat").write_text("cpu  7 1 2 900 30 4 5 6 0 0\ncpu0 1 2 3\n")
    for name, text in (("sleep", _SLEEP), ("systemctl", f"#!/bin/sh\necho {said}\nexit 1\n")):
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    ended = subprocess.run(
        [LAUNCHER, directory / "stat"], env={"PATH": f"{directory}:{os.defpath}"},
        capture_output=True, text=True, timeout=ENDS, check=True,
    )  # fmt: skip
    assert ended.stdout + ended.stderr == ""
    slept = directory / "slept"
    return int(slept.read_text()) if slept.exists() else 0


def test_it_waits_until_the_processors_have_had_a_rest_for_a_while(tmp_path: Path) -> None:
    assert waited(tmp_path, [0, 80, 50, 80, 80, 70]) == 6


def test_a_host_at_rest_is_waited_for_no_longer_than_it_takes_to_see_it(tmp_path: Path) -> None:
    assert waited(tmp_path, [100] * LOOKS) == 3


def test_a_host_that_never_rests_is_not_waited_for_longer_than_the_limit(tmp_path: Path) -> None:
    assert waited(tmp_path, [69] * LOOKS) == LOOKS


@pytest.mark.parametrize("said", ["running", "degraded", ""])
def test_a_host_that_does_not_boot_is_not_waited_for(tmp_path: Path, said: str) -> None:
    assert waited(tmp_path, [], said) == 0


def test_without_systemd_no_boot_is_known_of(tmp_path: Path) -> None:
    ended = subprocess.run([LAUNCHER], env={"PATH": str(tmp_path)}, timeout=ENDS, check=False)
    assert ended.returncode == 0


def test_the_kernel_s_own_figures_are_read(tmp_path: Path) -> None:
    (tmp_path / "systemctl").write_text("#!/bin/sh\necho starting\n")
    (tmp_path / "systemctl").chmod(0o755)
    ended = subprocess.run(
        [LAUNCHER], env={"PATH": f"{tmp_path}:{os.defpath}"},
        capture_output=True, text=True, timeout=ENDS, check=True,
    )  # fmt: skip
    assert ended.stdout + ended.stderr == ""
