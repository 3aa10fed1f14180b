"""What the shell part refuses, before anything is touched."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SOURCED = f". {DEPLOY}/lib/host.sh; . {DEPLOY}/lib/program.sh; script=install"
HOLD = f"set -euo pipefail; {SOURCED}; lock_file=$1; lock_installation; echo held; read -r"
TRY = f"set -euo pipefail; {SOURCED}; lock_file=$1 lock_seconds=0.1; lock_installation; echo held"
BESIDE = f"set -euo pipefail; {SOURCED}; refuse_beside_package; echo may"


def bash(code: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", code, "bash", *words],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def holder(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that has the lock until its input ends."""
    with subprocess.Popen(
        ["bash", "-c", HOLD, "bash", str(lock)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holding:  # fmt: skip
        assert holding.stdout is not None
        assert holding.stdout.readline() == "held\n"
        yield holding


def test_a_second_run_says_who_is_at_it(lock: Path, holder: subprocess.Popen[str]) -> None:
    refused = bash(TRY, str(lock))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "has not ended within 0.1 s" in refused.stderr
    assert f"ps -fp {holder.pid};" in refused.stderr

    holder.communicate("\n", timeout=30)
    assert bash(TRY, str(lock)).stdout == "held\n"


def test_only_its_owner_may_open_the_lock(lock: Path) -> None:
    assert bash(f"umask 022; {TRY}; umask", str(lock)).stdout == "held\n0022\n"
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    where = bash(f"{SOURCED}; echo $lock_file").stdout.strip()
    # Nobody else may make a file there first.
    assert stat.S_IMODE(Path(where).parent.stat().st_mode) & 0o022 == 0


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="not a Debian host")
@pytest.mark.parametrize(
    ("state", "may"),
    [
        ("install ok installed", False),
        ("install ok half-configured", False),
        ("install reinstreq half-installed", False),
        ("install ok unpacked", False),
        ("deinstall ok config-files", True),
        ("unknown ok not-installed", True),
        (None, True),
    ],
)
def test_a_package_in_whatever_state_is_not_installed_beside(
    tmp_path: Path, state: str | None, may: bool
) -> None:
    entry = f"Package: bluegreen\nStatus: {state}\nArchitecture: all\nVersion: 1\n"
    entry += "Maintainer: t <t@example.org>\nDescription: bluegreen\n\n"
    (tmp_path / "status").write_text("" if state is None else entry)
    (tmp_path / "updates").mkdir()
    (tmp_path / "info").mkdir()
    said = bash(BESIDE, DPKG_ADMINDIR=str(tmp_path))
    assert (said.returncode, said.stdout) == ((0, "may\n") if may else (1, ""))
    if state is not None and not may:
        assert f"as a Debian package ({state.split()[-1]})" in said.stderr
