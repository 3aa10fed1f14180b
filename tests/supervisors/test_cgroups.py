"""What the kernel says of a control group."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluegreen.supervisors import cgroups

_LOOK = (
    "import sys; from bluegreen.supervisors import cgroups; print(cgroups.processes(sys.argv[1]))"
)


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of the test's own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("control groups and PID namespaces need root and unshare(1)")
    directory = cgroups.hierarchy() / f"bluegreen-test-{uuid.uuid4().hex}"
    directory.mkdir()
    yield directory
    directory.rmdir()


def test_a_process_without_a_pid_is_none_of_ours(group: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            (group / "cgroup.procs").write_text(f"{process.pid}\n")
            assert cgroups.processes(f"/{group.name}") == {process.pid}
            # In there it has no PID: as the kernel says of one that ends while it is looked at.
            inside = subprocess.run(
                ["unshare", "--pid", "--fork", sys.executable, "-c", _LOOK, f"/{group.name}"],
                stdout=subprocess.PIPE, text=True, check=True, timeout=30,
            )  # fmt: skip
        finally:
            process.kill()
    assert inside.stdout == "frozenset()\n"
