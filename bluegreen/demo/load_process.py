"""A load in a process of its own, so that it and what it measures do not share a Python."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bluegreen.demo.load import READY_SECONDS, LoadError
from bluegreen.demo.load_settings import LoadSettings
from bluegreen.demo.report import Report

STOP_SECONDS = 30.0


class LoadProcess:
    """Runs ``python -m bluegreen.demo.load`` while its ``async with`` block runs.

    The process ends with this one, however this one ends. ``prefix`` are the words of a command
    that becomes it, to have it run elsewhere.
    """

    def __init__(self, settings: LoadSettings, *, prefix: Sequence[str] = ()) -> None:
        self._settings = settings
        self._prefix = prefix
        self._process: asyncio.subprocess.Process | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._report: Report | None = None

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="bluegreen-load-")
        self._process = await asyncio.create_subprocess_exec(
            *self._prefix,
            sys.executable,
            "-m",
            "bluegreen.demo.load",
            *self._settings.arguments(),
            "--with-parent",
            f"--json={self._report_file}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # an interrupt at the terminal is ours to handle
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._report is None:
                await self._end()
        finally:
            if self._folder is not None:
                await asyncio.to_thread(self._folder.cleanup)

    async def ready(self, *, timeout: float = READY_SECONDS) -> None:
        """Returns once every visitor was served once; LoadError when that takes too long."""
        output = self._running.stdout
        try:
            async with asyncio.timeout(timeout):
                line = await output.readline() if output is not None else b""
        except TimeoutError as error:
            raise LoadError(
                f"not every visitor of {self._settings.url} was served within {timeout:g} s",
                remedy="see that the site answers under the paths that the load asks for",
            ) from error
        if line != b"ready\n":
            raise LoadError(
                "the load ended before everyone was served",
                detail=[line.decode(errors="replace").rstrip()],
                remedy="run python -m bluegreen.demo.load by hand to see why",
            )

    async def stop(self) -> Report:
        """Ends the load and returns what it saw; safe to repeat."""
        if self._report is None:
            await self._end()
            try:
                text = await asyncio.to_thread(self._report_file.read_text)
            except FileNotFoundError as error:
                raise LoadError(
                    f"the load ended without a report (exit status {self._running.returncode})",
                    remedy="run python -m bluegreen.demo.load by hand to see why",
                ) from error
            self._report = Report.from_json(json.loads(text))
        return self._report

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise LoadError("the load was not started", remedy="use it in an async with block")
        return self._process

    @property
    def _report_file(self) -> Path:
        if self._folder is None:
            raise LoadError("the load was not started", remedy="use it in an async with block")
        return Path(self._folder.name) / "report.json"

    async def _end(self) -> None:
        """Closes its standard input, which ends it cleanly; kills it when that does not."""
        process = self._running
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.communicate(b"")
        except TimeoutError as error:
            raise LoadError(
                f"the load did not end within {STOP_SECONDS:g} s and was killed",
                remedy="run python -m bluegreen.demo.load by hand to see why",
            ) from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
