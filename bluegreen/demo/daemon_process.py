"""The demo's daemon: a process of its own that is started, killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import ClassVar

from bluegreen.cli.client import Client
from bluegreen.errors import BluegreenError, DaemonUnreachableError
from bluegreen.layout import Layout
from bluegreen.log_tail import tail
from bluegreen.processes import Process, Session, spawn

START_SECONDS = 60.0  # until it answers
STOP_SECONDS = 90.0  # until it has stopped its apps and nginx
POLL = 0.05  # seconds
LOG_LINES = 10  # of its log in an error


class DaemonStartError(BluegreenError):
    """The daemon does not start."""

    kind: ClassVar[str] = "daemon-start"


class DaemonProcess:
    """``bluegreen serve --stop-apps`` on one root; what it says goes to ``daemon.log`` there."""

    def __init__(self, layout: Layout) -> None:
        self._root = layout.root
        self._log_file = layout.root / "daemon.log"
        self._client = Client(layout.root)
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return None if self._process is None else self._process.identity.pid

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of the ``bluegreen`` command."""
        return ("serve", "--root", str(self._root), "--stop-apps")

    async def start(self) -> None:
        """Return once it answers. Raises DaemonStartError, which quotes its log."""
        with self._log_file.open("ab") as log:
            self._process, _ = await spawn(
                (sys.executable, "-m", "bluegreen", *self.arguments),
                cwd=self._root, env=os.environ, output=log.fileno(), record=_nowhere,
            )  # fmt: skip
        ended = asyncio.create_task(self._process.wait(), name="end of the daemon")
        try:
            async with asyncio.timeout(START_SECONDS):
                while not ended.done():
                    if await asyncio.to_thread(self._answers):
                        return
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            raise await self._not_started(f"does not answer after {START_SECONDS:g} s") from error
        finally:
            ended.cancel()
            await asyncio.wait([ended])
        raise await self._not_started("has ended")

    def kill(self) -> None:
        """SIGKILL, at once; ``gone`` waits for its end."""
        if self._process is not None:
            self._process.send(signal.SIGKILL)

    async def gone(self) -> None:
        """Wait until it has ended."""
        if self._process is not None:
            await self._process.wait()
            self._process.release()
            self._process = None

    async def stop(self) -> None:
        """SIGTERM, which ends its apps and nginx too; SIGKILL if that takes too long."""
        if self._process is None:
            return
        self._process.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self.kill()
        await self.gone()

    def let_go(self) -> None:
        """Let it run on without us."""
        if self._process is not None:
            self._process.let_go()
            self._process = None

    def _answers(self) -> bool:
        try:
            self._client.get("/v1/apps")
        except (DaemonUnreachableError, OSError):
            return False
        return True

    async def _not_started(self, what: str) -> DaemonStartError:
        lines = await asyncio.to_thread(tail, self._log_file, LOG_LINES)
        return DaemonStartError(
            f"the demo's daemon {what}",
            detail=lines,
            remedy="mend what its log says, then start the demo again",
        )


async def _nowhere(session: Session) -> None:
    """It is ended by who started it; nobody else needs a record of it."""
