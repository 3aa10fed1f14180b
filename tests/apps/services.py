"""The sample app's services as real processes, started directly."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bluegreen.demo.versions import write_version
from tests.waiting import PATIENCE, eventually

HEALTH = {"web": "/health", "api": "/api/health", "stream": "/health", "terminal": "/health"}


@dataclass(frozen=True, kw_only=True)
class RunningService:
    """A process, where it was told to listen, and what it has printed."""

    service: str
    process: asyncio.subprocess.Process
    port: int
    log_file: Path

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def log(self) -> str:
        return self.log_file.read_text()

    async def ended(self) -> int:
        """Its exit status; negative: the signal that ended it. Raises TimeoutError."""
        return await asyncio.wait_for(self.process.wait(), PATIENCE)

    async def said(self, text: str) -> None:
        """Waits until it has printed ``text``."""
        await eventually(lambda: text in self.log(), f"{text!r} is in the log of {self.service}")

    async def up(self) -> None:
        """Waits until its health endpoint answers, whatever it says."""

        async def is_up() -> bool:
            assert self.process.returncode is None, self.log()
            return await answers(self.url(HEALTH[self.service]))

        await eventually(is_up, f"{self.service} answers")


async def answers(url: str) -> bool:
    """Whether anything answers at ``url``, with whatever status."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url):
            return True
    except aiohttp.ClientConnectionError:
        return False


def built_tree(version: str, tree: Path, *, api_port: int = 9083) -> Path:
    """The tree of a version, its assets built."""
    write_version(version, tree)
    build(tree, api_port=api_port, cache=tree / ".cache").check_returncode()
    return tree


def build(
    tree: Path, *, api_port: int, cache: Path, prefix: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """What the build step did, with all it printed in ``stdout``; ``prefix`` is what runs it."""
    variables = {"API_PORT": str(api_port), "MONITOR_CACHE": str(cache)}
    return subprocess.run(
        [*prefix, sys.executable, "-m", "monitor.assets"],
        cwd=tree, env=os.environ | variables | environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip


@asynccontextmanager
async def started(
    tree: Path, service: str, port: int, *, slot: str = "blue", **environment: str
) -> AsyncIterator[RunningService]:
    """The process as it was just spawned, ended afterwards."""
    variables = {f"{service.upper()}_PORT": str(port), "MONITOR_SLOT": slot}
    log_file = tree / f"{service}-{slot}.log"
    with log_file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"monitor.{service}",
            cwd=tree, env=os.environ | variables | environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield RunningService(service=service, process=process, port=port, log_file=log_file)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def listening(
    tree: Path, service: str, port: int, *, slot: str = "blue", **environment: str
) -> AsyncIterator[RunningService]:
    """The process once its health endpoint answers, whatever it says."""
    async with started(tree, service, port, slot=slot, **environment) as running:
        await running.up()
        yield running
