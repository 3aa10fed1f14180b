"""A systemd host on which bluegreen is installed, and an app is described."""

from __future__ import annotations

import sys

import pytest_asyncio

from tests.host.conftest import host
from tests.host.lab import CHECKOUT, Host
from tests.host_apply.installed import Installed, install

__all__ = ["host"]  # the fixture that the one below stands on


@pytest_asyncio.fixture
async def installed(host: Host) -> Installed:
    """The host, with nginx running."""
    await host.require(CHECKOUT, sys.executable)
    return await install(host)
