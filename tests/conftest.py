"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Distinct loopback ports that were free a moment ago, from the kernel."""

    def ports(count: int) -> list[int]:
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        try:
            return [listener.getsockname()[1] for listener in listeners]
        finally:
            for listener in listeners:
                listener.close()

    return ports


@pytest.fixture
def root() -> Iterator[Path]:
    """A directory with a short path, as unix sockets need; removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="bg-"))
    yield directory
    shutil.rmtree(directory)
