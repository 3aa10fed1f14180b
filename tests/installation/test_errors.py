"""What an administrator reads when the system refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_file_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = subprocess.run(
        [sys.executable, "-m", "bluegreen.installation", "stage", "--prefix", "/usr",
         "--directory", str(tmp_path / "file")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    message, remedy = said.stderr.splitlines()
    assert said.returncode == 1
    assert message.startswith(f"install: {tmp_path}/file/")
    assert message.endswith(": Not a directory")
    assert remedy.startswith("install: Next: see to that file and to the disk")
