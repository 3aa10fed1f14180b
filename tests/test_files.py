"""A file that is replaced is the old one or the new one, whatever happens in between."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_REPLACE = (
    "import sys; from pathlib import Path; from bluegreen.files import write_atomically; "
    "write_atomically(Path(sys.argv[1]), 'new' * 100_000)"
)
# Not every architecture has the same one.
RENAME = "?rename,?renameat,?renameat2"


def replace(path: Path, calls: str, what: str) -> subprocess.CompletedProcess[str]:
    """Replace ``path`` in a process of its own, to whose ``calls`` strace does ``what``."""
    return subprocess.run(
        ["strace", "-f", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={calls}:{what}",
         sys.executable, "-B", "-c", _REPLACE, str(path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("calls", "which", "found"),
    [
        ("fsync", 1, "old"),  # of the new file
        (RENAME, 1, "old"),
        ("fsync", 2, "new" * 100_000),  # of the directory
    ],
)
def test_killed_in_the_middle_it_is_one_or_the_other(
    tmp_path: Path, calls: str, which: int, found: str
) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    ended = replace(path, calls, f"signal=SIGKILL:when={which}")
    assert ended.returncode in (-9, 128 + 9), ended.stderr
    assert path.read_text() == found


@pytest.mark.parametrize(
    ("calls", "error"), [("fsync", "ENOSPC"), (RENAME, "EROFS"), ("fsync", "EIO")]
)
def test_a_disk_that_refuses_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, calls: str, error: str
) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    ended = replace(path, calls, f"error={error}:when=1")
    assert ended.returncode == 1
    assert "OSError" in ended.stderr
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
