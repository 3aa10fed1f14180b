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
    _mount("-t", "tmpfs", *options, "tmpfs", directory)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True, timeout=LIMIT)


@contextlib.contextmanager
def full(directory: Path) -> Iterator[None]:
    """A file system on ``directory`` that takes names, and no byte."""
    with mounted_tmpfs(directory, size="64k"):
        with contextlib.suppress(OSError), (directory / "all there is").open("wb", 0) as file:
            while file.write(b"x" * 4096):
                pass
        yield


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """What is in ``directory``, mounted so that nobody may write; skips where it may not be."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    _mount("--bind", directory, directory)
    try:
        _mount("-o", "remount,bind,ro", directory)
        yield
    finally:
        subprocess.run(["umount", directory], check=True, timeout=LIMIT)


def _mount(*words: str | Path) -> None:
    """Skips the test where root may not mount, as in a container without CAP_SYS_ADMIN."""
    done = subprocess.run(
        ["mount", *words], check=False, capture_output=True, text=True, timeout=LIMIT
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
