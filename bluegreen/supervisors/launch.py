"""Starting a process so that it is found again, and ending it so that nothing is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time

from bluegreen.config.secrets import redact
from bluegreen.errors import SupervisorError
from bluegreen.log_tail import tail
from bluegreen.model import Job, ServiceUnit
from bluegreen.processes import Ending, Process, Session, is_alive, spawn, uninterrupted
from bluegreen.supervisors import logs
from bluegreen.supervisors.readiness import ReadySocket
from bluegreen.supervisors.records import ProcessRecord, ProcessRecords, definition_digest
from bluegreen.supervisors.sessions import ProcessTable, end_session

logger = logging.getLogger(__name__)

REFUSAL_LINES = 8  # of the log, shown when a service does not become ready


class RunningSession:
    """A recorded process with all that it has started."""

    def __init__(
        self, process: Process, record: ProcessRecord, records: ProcessRecords, table: ProcessTable
    ) -> None:
        self.record = record
        self._process = process
        self._records = records
        self._table = table
        self._ending: Ending | None = None  # set once the process is not held any more

    @property
    def pid(self) -> int:
        return self._process.identity.pid

    async def ended(self) -> Ending:
        """Wait until the first process has ended; others of its session may live on."""
        return self._ending or await self._process.wait()

    async def members(self) -> frozenset[int]:
        """The PIDs of all live processes of the session."""
        return frozenset(member.pid for member in await self._table.members(self.record.session))

    async def end(self, *, stop_timeout: float) -> tuple[bool, Ending]:
        """End all of it (see `end_session`) and forget it.

        Returns whether it went without SIGKILL, and how its first process ended.
        """
        graceful = False
        try:
            graceful = await end_session(
                self.record.session, self._table, stop_timeout=stop_timeout
            )
        finally:
            if not is_alive(self.record.session.leader):
                await uninterrupted(self._bury(), name=f"forget {self.record.file_name}")
        return graceful, await self.ended()

    async def _bury(self) -> None:
        if self._ending is None:
            # Only now may the PID be given to others, and only now is the record needed no more.
            self._ending = await self._process.wait()
            self._process.release()
            await asyncio.to_thread(_forget, self._records, self.record)

    def let_go(self) -> None:
        """Watch it no more; it runs on."""
        if self._ending is None:
            self._ending = Ending()
            self._process.let_go()


async def launch(
    work: ServiceUnit | Job, records: ProcessRecords, table: ProcessTable
) -> RunningSession:
    """Start a service, or a job (which yields to the services), its output going to its log.

    A service that says when it is ready has said so when this returns. Raises SupervisorError;
    then, and when cancelled, nothing is running.
    """
    if isinstance(work, Job) or work.ready_within is None:
        return await _spawn(work, records, table, {})
    try:
        ready = ReadySocket()
    except OSError as error:
        raise _not_started(work, error) from error
    with contextlib.closing(ready):
        running = await _spawn(work, records, table, ready.variables)
        try:
            await _until_ready(running, ready, work, work.ready_within)
        except BaseException:
            await uninterrupted(running.end(stop_timeout=0), name=f"end {_name(work)}")
            raise
    return running


async def _until_ready(
    running: RunningSession, ready: ReadySocket, work: ServiceUnit, within: float
) -> None:
    name = running.record.name
    ended = asyncio.create_task(running.ended(), name=f"end of {name}")
    said = asyncio.create_task(ready.said(), name=f"readiness of {name}")
    try:
        await asyncio.wait({ended, said}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        if said.done():
            return said.result()
        if ended.done():
            why = f"it ended before it said that it was ready: {ended.result()}"
        else:
            why = f"it did not say within {within:g} s that it was ready (READY=1, sd_notify(3))"
    finally:
        for task in (ended, said):
            task.cancel()
        await asyncio.wait({ended, said})
    log = await asyncio.to_thread(tail, work.log_file, REFUSAL_LINES)
    raise SupervisorError(
        f"{name} did not start: {why}",
        detail=[f"log | {line}" for line in redact(log, work.env)],
        remedy="its log says more; a service that never says so has no ready in the app file",
    )


async def _spawn(
    work: ServiceUnit | Job, records: ProcessRecords, table: ProcessTable, more: dict[str, str]
) -> RunningSession:
    """`launch`, with ``more`` variables."""
    started_at = time.time()
    is_job = isinstance(work, Job)

    async def keep(session: Session) -> None:
        await _write(records, _record(work, session, started_at))
        if not is_job:
            logs.note(output, f"started pid {session.leader.pid}")

    try:
        output = logs.open_log(work.log_file)
    except OSError as error:
        raise SupervisorError(
            f"{_name(work)} was not started: its log {work.log_file} cannot be opened:"
            f" {error.strerror}",
            remedy="make the log's directory writable for the daemon, or free space on its disk",
        ) from error
    try:
        process, session = await spawn(
            work.argv, cwd=work.cwd, env=work.env | more, output=output, record=keep, gentle=is_job
        )
    except (OSError, ValueError) as error:
        raise _not_started(work, error) from error
    finally:
        os.close(output)
    return RunningSession(process, _record(work, session, started_at), records, table)


def _name(work: ServiceUnit | Job) -> str:
    return work.name if isinstance(work, Job) else str(work.key)


def _record(work: ServiceUnit | Job, session: Session, started_at: float) -> ProcessRecord:
    return ProcessRecord(
        session=session,
        key=None if isinstance(work, Job) else work.key,
        name=_name(work),
        definition=definition_digest(work),
        stop_timeout=0 if isinstance(work, Job) else work.stop_timeout,
        started_at=started_at,
    )


async def _write(records: ProcessRecords, record: ProcessRecord) -> None:
    try:
        # To its end even when cancelled: it must not overtake the record of a later process.
        await uninterrupted(
            asyncio.to_thread(records.write, record), name=f"record {record.file_name}"
        )
    except OSError as error:
        raise SupervisorError(
            f"{record.name} was not started: its process cannot be recorded: {error.strerror}",
            remedy="free space on the disk of the run directory, or make it writable",
        ) from error
    except asyncio.CancelledError:
        await uninterrupted(
            asyncio.to_thread(_forget, records, record), name=f"forget {record.file_name}"
        )
        raise


def _forget(records: ProcessRecords, record: ProcessRecord) -> None:
    try:
        records.remove(record)
    except OSError as error:
        # It names a process that has ended, which the next daemon will see.
        logger.warning("the process record %s cannot be removed: %s", record.file_name, error)


def _not_started(work: ServiceUnit | Job, error: OSError | ValueError) -> SupervisorError:
    if not work.cwd.is_dir():
        return SupervisorError(
            f"{_name(work)} was not started: its directory {work.cwd} does not exist",
            remedy="deploy the release again, or correct the app file if it names that directory",
        )
    return SupervisorError(
        f"{_name(work)} was not started: {error}",
        detail=[f"command: {work.argv[0]}" if work.argv else "no command"],
        remedy="check the command, and the host's limits on processes and open files",
    )
