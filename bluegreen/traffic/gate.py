"""The gate as the daemon sees it: asked through its socket and, where nobody else does, started."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from bluegreen.errors import TrafficError
from bluegreen.files import write_atomically
from bluegreen.gate.server import BACKLOG
from bluegreen.layout import Layout
from bluegreen.private_socket import bind_privately
from bluegreen.processes import Process, ProcessIdentity, Session, spawn, uninterrupted
from bluegreen.sources.disk_space import is_full

log = logging.getLogger(__name__)

ANSWER_TIMEOUT = 5.0  # seconds; it may have to be started
ANSWER_BYTES = 4096
AGAIN_AFTER = 0.2  # seconds until a gate that has ended is started again
TRIED_AGAIN_AFTER = 2.0  # seconds, where it could not be
END_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, kw_only=True)
class GateState:
    """What the gate knows of an app: until when it is held (Unix seconds), and how many wait."""

    until: float | None
    waiting: int


class Gate(Protocol):
    """How the gate is reached."""

    @property
    def remedy(self) -> str:
        """What to do where it does not work."""
        ...

    async def open(self, *, needed: bool) -> None:
        """See that it runs if it is ``needed`` at once: requests are held."""
        ...

    async def be_ready(self) -> None:
        """Return when it answers. Raises TrafficError."""
        ...

    async def ask(self, app: str) -> GateState:
        """Raises TrafficError when it does not answer within 5 s."""
        ...

    async def close(self, *, stop: bool) -> None:
        """Let go; ``stop`` ends it, if that is ours to do."""
        ...


class HostGate:
    """A unit of systemd's, which starts it when somebody connects."""

    remedy = "see why: systemctl status bluegreen-gate.socket bluegreen-gate.service"

    def __init__(self, layout: Layout) -> None:
        self._socket = layout.gate_sockets[0]

    async def open(self, *, needed: bool) -> None:
        """See `Gate.open`. It is there, or systemd starts it."""

    async def be_ready(self) -> None:
        """See `Gate.be_ready`."""
        await self.ask("ready")

    async def ask(self, app: str) -> GateState:
        """See `Gate.ask`."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                body = await self._exchange(app)
            document = json.loads(body)
            return GateState(until=document["until"], waiting=int(document["waiting"]))
        except (OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise TrafficError(
                "what answers for held requests does not answer",
                detail=[f"{self._socket}: {error or 'no answer in time'}"],
                remedy=self.remedy,
            ) from error

    async def _exchange(self, app: str) -> str:
        reader, writer = await asyncio.open_unix_connection(self._socket)
        try:
            writer.write(f"GET /state/{app} HTTP/1.0\r\n\r\n".encode())
            answer = await reader.read(ANSWER_BYTES)
            while more := await reader.read(ANSWER_BYTES):
                answer += more
        finally:
            writer.close()
        head, _, body = answer.decode(errors="replace").partition("\r\n\r\n")
        if head.split()[1:2] != ["200"]:
            raise ValueError(f"the answer was {head.partition(chr(13))[0] or 'empty'}: {body}")
        return body

    async def close(self, *, stop: bool) -> None:
        """See `Gate.close`. It is systemd's to end."""


class OwnGate(HostGate):
    """A process of ours, in a session of its own: it outlives the daemon, and is found again.

    The daemon that has started it keeps the sockets too, so that nobody who connects while it is
    started again is turned away.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._layout = layout
        self.remedy = f"see {self._log}; then try again"
        self._process: Process | None = None
        self._listeners: list[socket.socket] = []
        self._keeping: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    @property
    def _log(self) -> str:
        return str(self._layout.logs / "gate.log")

    async def open(self, *, needed: bool) -> None:
        """See `Gate.open`."""
        identity = await asyncio.to_thread(self._recorded)
        self._process = Process.hold(identity) if identity is not None else None
        if self._process is not None:
            self._keep()
        elif needed:
            try:
                await self._start()
            except TrafficError as error:
                log.error("%s", "; ".join(error.lines()))

    async def be_ready(self) -> None:
        """See `Gate.be_ready`."""
        if self._process is None:
            await self._start()
        await super().be_ready()

    async def close(self, *, stop: bool) -> None:
        """See `Gate.close`."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        if self._process is not None:
            if stop:
                await self._end(self._process)
            else:
                self._process.let_go()
            self._process = None
        for listener in self._listeners:
            listener.close()
        self._listeners = []

    async def _end(self, process: Process) -> None:
        process.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), END_TIMEOUT)
        except TimeoutError:
            process.send(signal.SIGKILL)
            await process.wait()
        process.release()
        for path in (self._layout.gate_record, *self._layout.gate_sockets):
            path.unlink(missing_ok=True)

    def _keep(self) -> None:
        self._keeping = asyncio.create_task(self._start_again_and_again(), name="keep the gate")

    async def _start_again_and_again(self) -> None:
        pause = AGAIN_AFTER
        while self._process is not None:
            ending = await self._process.wait()
            self._process.release()
            self._process = None
            log.error("what answers for held requests has ended (%s); starting it again", ending)
            while self._process is None:
                await asyncio.sleep(pause)
                pause = AGAIN_AFTER
                try:
                    await self._spawn()
                except TrafficError as error:
                    pause = TRIED_AGAIN_AFTER
                    log.error("%s", "; ".join(error.lines()))

    async def _start(self) -> None:
        async with self._starting:
            if self._process is None and (self._keeping is None or self._keeping.done()):
                await self._spawn()
                self._keep()

    async def _spawn(self) -> None:
        try:
            if not self._listeners:
                self._listeners = [_listen(path) for path in self._layout.gate_sockets]
            output = os.open(
                self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640
            )
            try:
                self._process, _ = await uninterrupted(
                    self._spawn_with(output), name="start the gate"
                )
            finally:
                os.close(output)
        except OSError as error:
            raise TrafficError(
                f"what answers for held requests could not be started: {error}",
                remedy="free some space on the disk, then try again"
                if is_full(error)
                else self.remedy,
            ) from error

    async def _spawn_with(self, output: int) -> tuple[Process, Session]:
        descriptors = [listener.fileno() for listener in self._listeners]
        words = (sys.executable, "-I", "-m", "bluegreen.gate", str(self._layout.apps))
        return await spawn(
            (*words, *map(str, descriptors)), cwd=self._layout.run, env={}, output=output,
            record=self._record, inherited=descriptors,
        )  # fmt: skip

    async def _record(self, session: Session) -> None:
        text = json.dumps({"session": asdict(session)})
        await asyncio.to_thread(
            write_atomically, self._layout.gate_record, text, mode=0o600, durable=False
        )

    def _recorded(self) -> ProcessIdentity | None:
        try:
            document = json.loads(self._layout.gate_record.read_text())
            return ProcessIdentity(**document["session"]["leader"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def _listen(path: Path) -> socket.socket:
    """A new socket, for nginx and for us: its workers are the daemon's user. Raises OSError."""
    listener = bind_privately(path)
    listener.listen(BACKLOG)
    return listener
