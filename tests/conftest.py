"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ports import kernel_ports
from tests.service_manager import ServiceManager


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Distinct loopback ports that were free a moment ago, from the kernel."""
    return kernel_ports


@pytest.fixture
def root() -> Iterator[Path]:
    """A directory with a short path, as unix sockets need; removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="bg-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def listener(root: Path) -> Iterator[ServiceManager]:
    """A datagram socket in ``root``, as a service manager and as journald have one."""
    listening = ServiceManager(root / "listener.sock")
    yield listening
    listening.close()
