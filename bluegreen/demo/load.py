"""A load: many visitors at once, who notice everything and are never served twice.

``python -m bluegreen.demo.load --url http://127.0.0.1:8080 --seconds 10 --json FILE`` runs one as
a process of its own; it ends after that time, at SIGTERM or SIGINT, or when its parent goes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from bluegreen.demo.load_settings import LoadSettings, add_arguments, from_arguments
from bluegreen.demo.report import Report, Snapshot
from bluegreen.demo.tally import Tally
from bluegreen.demo.visitors import WEBSOCKET_CLOSE_SECONDS, Visitors
from bluegreen.errors import BluegreenError
from bluegreen.files import write_atomically

READY_SECONDS = 30.0
STOP_MARGIN_SECONDS = 2.0  # on top of what the last exchange may take


class LoadError(BluegreenError):
    """The load itself could not run as it should."""

    kind = "load"


class Load:
    """Runs the visitors of ``settings`` while its ``async with`` block runs.

    To be made inside a running event loop; the time of its report begins there.
    """

    def __init__(self, settings: LoadSettings) -> None:
        self._settings = settings
        self._tally = Tally(
            connections=settings.connections,
            websockets=settings.websockets,
            downloads=settings.downloads,
        )
        self._visitors = Visitors(settings, self._tally)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._downloads: list[asyncio.Task[None]] = []
        self._report: Report | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
        )
        for index in range(self._settings.connections):
            visit = self._visitors.post(index)
            self._tasks.append(asyncio.create_task(visit, name=f"load-post-{index}"))
        for index in range(self._settings.websockets):
            talk = self._visitors.websocket(self._session, index)
            self._tasks.append(asyncio.create_task(talk, name=f"load-websocket-{index}"))
        for index in range(self._settings.downloads):
            fetch = self._visitors.download(index)
            self._downloads.append(asyncio.create_task(fetch, name=f"load-download-{index}"))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def ready(self, *, timeout: float | None = READY_SECONDS) -> None:
        """Returns once every visitor was served once; LoadError after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._tally.everyone_served.wait()
        except TimeoutError as error:
            failures = self._tally.report().failures[-5:]
            raise LoadError(
                f"not every visitor of {self._settings.url} was served within {timeout:g} s",
                detail=[f"{each.client}: {each.kind}: {each.reason}" for each in failures],
                remedy="see that the site answers under the paths that the load asks for",
            ) from error

    def snapshot(self) -> Snapshot:
        """The counts as they stand; cheap."""
        return self._tally.snapshot()

    def report(self) -> Report:
        """Everything up to now, or up to the end once it has stopped."""
        return self._report or self._tally.report()

    async def stop(self) -> Report:
        """Ends the load; safe to repeat. Being ended is no failure of anybody.

        Requests and messages on their way are waited for, so that they count; downloads are not.
        """
        if self._report is not None:
            return self._report
        self._visitors.stopping = True
        for task in self._downloads:
            task.cancel()
        everyone = [*self._tasks, *self._downloads]
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._longest_exchange)
        finally:
            for task in everyone:
                task.cancel()
            ended = await asyncio.gather(*everyone, return_exceptions=True)
            self._report = self._tally.report()
            if self._session is not None:
                await self._session.close()
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome
        return self._report

    @property
    def _longest_exchange(self) -> float:
        pause = max(self._settings.think, self._settings.message_interval)
        return self._settings.timeout + pause + WEBSOCKET_CLOSE_SECONDS + STOP_MARGIN_SECONDS


async def run(
    settings: LoadSettings, *, seconds: float | None, report: Path | None, with_parent: bool
) -> Report:
    """The load of the command line; prints ``ready`` once everyone was served."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    tasks = []
    if with_parent:
        tasks.append(asyncio.create_task(_parent_gone(ended), name="load-parent"))
    async with Load(settings) as load:
        tasks.append(asyncio.create_task(_announce(load), name="load-announce"))
        try:
            async with asyncio.timeout(seconds):
                await ended.wait()
        except TimeoutError:
            ended.set()
        result = await load.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if report is not None:
        await asyncio.to_thread(write_atomically, report, json.dumps(result.to_json()))
    return result


async def _announce(load: Load) -> None:
    await load.ready(timeout=None)
    print("ready", flush=True)


async def _parent_gone(ended: asyncio.Event) -> None:
    """Standard input ends when the parent closes it or dies, however it dies."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    try:
        while await reader.read(1024):
            continue
        ended.set()
    finally:
        pipe.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 nobody was let down, 1 somebody was, 2 wrong use."""
    parser = argparse.ArgumentParser(prog="python -m bluegreen.demo.load", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--seconds", type=float, help="left out: until it is ended")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the report goes")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    options = parser.parse_args(arguments)
    try:
        settings = from_arguments(options)
    except BluegreenError as error:
        print(*error.lines(), sep="\n", file=sys.stderr)
        return error.exit_status
    report = asyncio.run(
        run(settings, seconds=options.seconds, report=options.json, with_parent=options.with_parent)
    )
    print(
        f"{report.requests} requests, {report.failed_requests} failed; "
        f"{report.websockets_opened} WebSockets, {report.websockets_cut} cut; "
        f"{report.downloads_done} downloads, {report.downloads_broken} broken"
    )
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
