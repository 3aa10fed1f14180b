"""Ending everything that belongs to a session."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bluegreen.errors import SupervisorError
from bluegreen.processes import Process, ProcessIdentity, Session, identify, is_alive, spawn
from bluegreen.supervisors import sessions
from bluegreen.supervisors.sessions import ProcessTable, end_session, leftovers
from tests.supervisors.conftest import ENV, Workshop
from tests.waiting import eventually

FORKS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
for generation in range(4000):  # each process lives for a moment and leaves a child
    if os.fork():
        time.sleep(0.005)
        os._exit(0)
"""


@asynccontextmanager
async def started(root: Path, *argv: str) -> AsyncIterator[tuple[Process, Session]]:
    async def no_record(session: Session) -> None:
        return None

    output = os.open(root / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    process, session = await spawn(argv, cwd=root, env=ENV, output=output, record=no_record)
    os.close(output)
    try:
        yield process, session
    finally:
        await end_session(session, ProcessTable(), stop_timeout=0)
        process.release()


async def test_ended_sessions_end_gracefully(workshop: Workshop) -> None:
    async with started(workshop.root, "true") as (process, session):
        await process.wait()
        assert await end_session(session, ProcessTable(), stop_timeout=0)


async def test_all_members_get_sigterm(workshop: Workshop) -> None:
    script = 'for i in 1 2 3; do sh -c \'trap "echo asked; exit" TERM; echo ready; while :; do'
    async with started(workshop.root, "sh", "-c", script + " sleep 0.05; done' & done; wait") as (
        _,
        session,
    ):
        log = workshop.root / "log"
        await eventually(lambda: log.read_text().count("ready") == 3, "three processes are ready")
        assert await end_session(session, ProcessTable(), stop_timeout=10)
        assert log.read_text().count("asked") == 3


async def test_cancelled_it_kills_what_is_left_first(workshop: Workshop) -> None:
    script = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done"
    async with started(workshop.root, "sh", "-c", script) as (process, session):
        await workshop.line(workshop.root / "log", "ready")
        ending = asyncio.create_task(end_session(session, ProcessTable(), stop_timeout=1000))
        await workshop.line(workshop.root / "log", "asked")
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert not is_alive(process.identity)


async def test_processes_that_fork_while_they_are_killed_do_not_get_away(
    workshop: Workshop,
) -> None:
    async with started(workshop.root, sys.executable, "-c", FORKS) as (_, session):
        await workshop.line(workshop.root / "log", "ready")
        table = ProcessTable()
        await end_session(session, table, stop_timeout=0.1)
        for _ in range(20):  # one look may miss what forks faster than /proc is read
            assert await table.members(session) == []


async def test_what_outlives_sigkill_is_named(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Immortal(ProcessTable):
        async def members(self, session: Session) -> list[ProcessIdentity]:
            return [session.leader]

    monkeypatch.setattr(sessions, "KILL_WAIT", 0.05)
    async with started(workshop.root, "sleep", "1000") as (process, session):
        with pytest.raises(SupervisorError, match=f"processes {process.identity.pid} outlive"):
            await end_session(session, Immortal(), stop_timeout=0)


async def test_many_questions_at_once_are_answered_by_few_walks(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks: list[None] = []
    take = sessions._Look.take

    def counted() -> sessions._Look:
        walks.append(None)
        return take()

    monkeypatch.setattr(sessions._Look, "take", counted)
    async with started(workshop.root, "sleep", "1000") as (process, session):
        table = ProcessTable()
        answers = await asyncio.gather(*(table.members(session) for _ in range(50)))
        assert all(answer == [process.identity] for answer in answers)
        assert len(walks) == 1


@pytest.mark.parametrize("size", [0, 40_000, 100_000])
async def test_a_process_is_known_by_its_environment_however_large(
    workshop: Workshop, size: int
) -> None:
    script = f"export A={'x' * size} Z={'x' * size}; setsid sleep 1000 & echo child $!; wait"
    (workshop.root / "script").write_text(script)
    async with started(workshop.root, "sh", "script") as (_, session):
        child = int(await workshop.line(workshop.root / "log", "child "))
        await eventually(lambda: os.getsid(child) == child, "the child leads a session of its own")

        async def both_are_known() -> bool:
            pids = {member.pid for member in await ProcessTable().members(session)}
            assert pids <= {session.leader.pid, child}
            return len(pids) == 2

        # Within an exec the kernel shows no environment for a moment.
        await eventually(both_are_known, "both are known")


async def test_leftovers_are_known_by_their_invocation(workshop: Workshop) -> None:
    script = "sleep 1000 & echo child $!"
    async with started(workshop.root, "sh", "-c", script) as (process, session):
        await process.wait()
        child = int(await workshop.line(workshop.root / "log", "child "))
        # Within an exec the kernel shows no environment for a moment.
        [found] = await eventually(lambda: leftovers([session]), "the child is known")
        assert found.leader == identify(child)
        assert leftovers([]) == []
        assert leftovers([Session(leader=session.leader, invocation="0" * 32)]) == []
        await end_session(found, ProcessTable(), stop_timeout=0)
        assert identify(child) is None
