from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.host import lab
from tests.host.program import lay_out
from tests.mounts import mounted_tmpfs
from tests.production.production import Production


@pytest.fixture(scope="session")
def program() -> Iterator[Path]:
    """The files of an installed bluegreen, on a file system of their own."""
    if (why := lab.obstacle()) is not None:
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="bg-program-") as name, mounted_tmpfs(name):
        root = Path(name)
        lay_out(root)
        yield root


@pytest_asyncio.fixture
async def bare(program: Path) -> AsyncIterator[Production]:
    """A host with bluegreen on its disk, and nothing set up."""
    async with lab.host(over=program) as built:
        yield Production(built)


@pytest_asyncio.fixture
async def installed(bare: Production) -> Production:
    """The daemon runs, and knows of no app."""
    await bare.install()
    return bare


@pytest_asyncio.fixture
async def production(bare: Production) -> Production:
    """The daemon runs, and the app waits for its first release."""
    await bare.set_up()
    return bare
