"""A source of releases for tests of trees, and a runner of jobs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from bluegreen.config.settings import AppSettings
from bluegreen.layout import AppLayout, Layout
from bluegreen.model import Job, JobResult, Release
from bluegreen.sources.comparison import Comparison

RELEASE = Release(app="shop", version="v1", commit="a" * 40, origin="https://example.org/shop")


class FilesSource:
    """Releases of given files."""

    def __init__(self, files: Mapping[str, str], error: Exception | None = None) -> None:
        self.files = files
        self.error = error

    async def resolve(self, version: str, *, pinned: str | None = None) -> Release:
        return RELEASE

    async def compare(self, version: str, since: str | None) -> Comparison:
        return Comparison(release=RELEASE)

    async def lay_out(self, release: Release, tree: Path) -> None:
        self._write(tree)
        if self.error is not None:
            raise self.error

    def _write(self, tree: Path) -> None:
        tree.mkdir()
        for name, content in self.files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)


class Runner:
    """Runs jobs as processes in sessions of their own, one after the other."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def run(self, job: Job) -> JobResult:
        self.jobs.append(job)
        with job.log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *job.argv, cwd=job.cwd, env=job.env, stdin=asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        ending = None
        try:
            async with asyncio.timeout(job.timeout):
                await process.wait()
        except TimeoutError:
            ending = f"timed out after {job.timeout:g} s"
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        status = process.returncode
        assert status is not None
        if ending is None:
            ending = f"exit status {status}" if status >= 0 else f"killed by {_name(-status)}"
        return JobResult(exit_status=status if status >= 0 else None, ending=ending)


def _name(number: int) -> str:
    return signal.Signals(number).name


def layout_in(root: Path) -> AppLayout:
    return Layout(root).app("shop")


def settings_with(**tables: object) -> AppSettings:
    """The settings of an app "shop" with one service and the given tables."""
    shared = tables.pop("shared", ())
    return AppSettings.model_validate(
        {
            "app": {"name": "shop", "shared": shared},
            "source": {"git": "https://example.org/shop.git"},
            "services": {"api": {"command": "true", "ports": {"blue": 9083, "green": 9183}}},
            **tables,
        }
    )
