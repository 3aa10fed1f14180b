from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.host import lab
from tests.install.prepared import Installed, Prepared, download, prepare
from tests.mounts import mounted_tmpfs


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all that pip needs."""
    directory = tmp_path_factory.mktemp("wheels")
    download(directory, tmp_path_factory.mktemp("environment"))
    return directory


@pytest.fixture(scope="session")
def prepared(wheels: Path) -> Iterator[Prepared]:
    """bluegreen, installed once: every host below stands on this disk."""
    if (why := lab.obstacle()) is not None:
        pytest.skip(why)
    # An overlay takes no layer that is below another one of its layers, as all of /var/tmp is: what
    # was installed there is moved to a file system of its own.
    with tempfile.TemporaryDirectory(prefix="bg-installed-") as disk, mounted_tmpfs(disk):
        with tempfile.TemporaryDirectory(prefix="bg-install-", dir="/var/tmp") as name:
            made = asyncio.run(_prepare(Path(name), wheels, Path(disk)))
        yield made


async def _prepare(directory: Path, wheels: Path, disk: Path) -> Prepared:
    host = lab.Host(directory)
    await host.mount()
    try:
        said, newer = await prepare(host, wheels)
    finally:
        await host.crash()
        await host.unmount()
    copy = ["cp", "--archive", f"{host.changed}/.", str(disk)]
    await asyncio.to_thread(subprocess.run, copy, check=True, timeout=120)
    return Prepared(disk=disk, said=said, newer=newer)


@pytest_asyncio.fixture
async def installed(prepared: Prepared) -> AsyncIterator[Installed]:
    """A host that has booted with bluegreen installed."""
    async with lab.host(over=prepared.disk) as built:
        yield Installed(built)
