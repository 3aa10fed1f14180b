"""File systems of a test's own, for root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

LIMIT = 30.0  # seconds


@contextlib.contextmanager
def mounted_tmpfs(directory: Path | str, *, size: str | None = None) -> Iterator[None]:
    """A tmpfs on ``directory``; ``size`` as mount(8) has it (``2m``), else as the host has it.

    Skips the test where it may not be mounted.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    options = [] if size is None else ["-o", f"size={size}"]
    mount = ["mount", "-t", "tmpfs", *options, "tmpfs", directory]
    subprocess.run(mount, check=True, timeout=LIMIT)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True, timeout=LIMIT)
