"""Real processes: who they are, how they are started, held and reaped."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluegreen.processes import (
    INVOCATION_VARIABLE,
    Ending,
    Process,
    Session,
    examine,
    identify,
    is_alive,
    spawn,
    uninterrupted,
)
from tests.waiting import PATIENCE, eventually

ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
def output(root: Path) -> Iterator[int]:
    descriptor = os.open(root / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


async def no_record(session: Session) -> None:
    return None


async def run(root: Path, output: int, *argv: str, gentle: bool = False) -> Ending:
    process, _ = await spawn(
        argv, cwd=root, env=ENV, output=output, record=no_record, gentle=gentle
    )
    ending = await process.wait()
    process.release()
    return ending


def test_a_process_is_its_pid_and_its_start() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert is_alive(me)
    assert not is_alive(dataclasses.replace(me, start_ticks=me.start_ticks + 1))
    assert not is_alive(dataclasses.replace(me, boot_id="another boot"))


def test_a_process_that_never_was_has_no_identity() -> None:
    beyond = int(Path("/proc/sys/kernel/pid_max").read_text()) + 1
    assert examine(beyond) is None
    assert identify(beyond) is None


def test_a_name_with_spaces_and_parentheses_confuses_nothing() -> None:
    code = "import sys; open('/proc/self/comm', 'w').write(') S 1 2 ('); print(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        before = identify(os.getpid())
        child.stdout.readline()
        found = examine(child.pid)
        assert found is not None
        assert before is not None
        assert found[1]
        assert found[0].start_ticks >= before.start_ticks
        child.communicate()


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    found = examine(child.pid)
    assert found is not None
    assert not found[1]
    assert identify(child.pid) is None
    os.kill(child.pid, 0)  # and yet this succeeds
    child.wait()


async def test_a_process_whose_first_thread_has_ended_is_alive() -> None:
    code = """
        import ctypes, sys, threading
        threading.Thread(target=lambda: (print(flush=True), sys.stdin.read())).start()
        ctypes.CDLL(None).pthread_exit(None)
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(code),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    await child.stdout.readline()
    status = Path(f"/proc/{child.pid}/status")
    await eventually(lambda: "Z (zombie)" in status.read_text(), "its first thread is a zombie")
    assert identify(child.pid) is not None
    child.kill()
    await child.communicate()


async def test_the_ending_tells_exit_status_and_signal(root: Path, output: int) -> None:
    assert str(await run(root, output, "sh", "-c", "exit 3")) == "exit status 3"
    assert str(await run(root, output, "sh", "-c", "kill -SEGV $$")) == "killed by SIGSEGV"
    assert str(Ending(signal=40)) == "killed by signal 40"
    assert "unknown" in str(Ending())


@pytest.mark.parametrize("gentle", [False, True])
async def test_a_missing_command_says_so(root: Path, output: int, gentle: bool) -> None:
    ending = await run(root, output, "no-such-command", gentle=gentle)
    assert str(ending) == "exit status 127 (command not found)"
    assert "no-such-command" in (root / "output").read_text()


async def test_a_command_that_is_not_executable_says_so(root: Path, output: int) -> None:
    (root / "script").write_text("")
    assert (await run(root, output, "./script")).exit_status == 126


async def test_arguments_and_environment_arrive_unchanged(root: Path, output: int) -> None:
    odd = "a b'\"$HOME\n*;|&"
    script = "import os, sys; print(repr(sys.argv[1:]), repr(os.environ['ODD']))"
    process, session = await spawn(
        [sys.executable, "-c", script, odd, "-n"],
        cwd=root, env={**ENV, "ODD": odd}, output=output, record=no_record,
    )  # fmt: skip
    assert (await process.wait()).exit_status == 0
    process.release()
    assert (root / "output").read_text() == f"{[odd, '-n']!r} {odd!r}\n"
    assert len(session.invocation) == 32


async def test_it_leads_a_session_and_inherits_nothing(root: Path, output: int) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    script = (
        "import os, signal; print(os.getpid() == os.getsid(0), sorted(os.listdir('/proc/self/fd')),"
        " os.readlink('/proc/self/fd/0'), signal.pthread_sigmask(signal.SIG_BLOCK, []),"
        f" {INVOCATION_VARIABLE!r} in os.environ)"
    )
    try:
        await run(root, output, sys.executable, "-c", script)
    finally:
        os.close(reader)
        os.close(writer)
    # Descriptor 3 is the one that listdir reads with.
    assert (root / "output").read_text() == ("True ['0', '1', '2', '3'] /dev/null set() True\n")


async def test_a_gentle_process_yields(root: Path, output: int) -> None:
    await run(root, output, "sh", "-c", "nice; cat /proc/self/oom_score_adj", gentle=True)
    assert (root / "output").read_text().split() == [str(min(os.nice(0) + 10, 19)), "500"]


async def test_a_missing_directory_starts_nothing(root: Path, output: int) -> None:
    with pytest.raises(FileNotFoundError):
        await spawn(["true"], cwd=root / "gone", env=ENV, output=output, record=no_record)


async def test_what_cannot_be_recorded_is_not_started(root: Path, output: int) -> None:
    seen: list[Session] = []

    async def fail(session: Session) -> None:
        seen.append(session)
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        await spawn(["touch", "started"], cwd=root, env=ENV, output=output, record=fail)
    assert not is_alive(seen[0].leader)
    assert examine(seen[0].leader.pid) is None  # not even a zombie
    assert not (root / "started").exists()


async def test_cancelled_while_it_is_recorded_it_is_not_started(root: Path, output: int) -> None:
    recording: asyncio.Future[Session] = asyncio.get_running_loop().create_future()

    async def hang(session: Session) -> None:
        recording.set_result(session)
        await asyncio.Event().wait()

    task = asyncio.create_task(
        spawn(["touch", "started"], cwd=root, env=ENV, output=output, record=hang)
    )
    session = await recording
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert examine(session.leader.pid) is None
    assert not (root / "started").exists()


async def test_killed_while_it_is_recorded_it_tells_its_end(root: Path, output: int) -> None:
    async def kill(session: Session) -> None:
        os.kill(session.leader.pid, signal.SIGKILL)

    process, _ = await spawn(["true"], cwd=root, env=ENV, output=output, record=kill)
    assert str(await process.wait()) == "killed by SIGKILL"
    process.release()


async def test_a_parent_killed_between_record_and_go_starts_nothing(root: Path) -> None:
    code = f"""
        import asyncio, os, signal
        from pathlib import Path
        from bluegreen.processes import spawn

        async def record(session):
            print(session.leader.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(spawn(["touch", "started"], cwd=Path({str(root)!r}), env={ENV!r},
                          output=2, record=record))
    """
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(code), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await parent.communicate()
    assert parent.returncode == -signal.SIGKILL
    await eventually(lambda: identify(int(out)) is None, "the child that was held has ended")
    assert not (root / "started").exists()


async def test_a_released_child_leaves_no_zombie_and_an_unreleased_one_keeps_its_pid(
    root: Path, output: int
) -> None:
    process, _ = await spawn(["true"], cwd=root, env=ENV, output=output, record=no_record)
    await process.wait()
    assert examine(process.identity.pid) == (process.identity, False)
    process.release()
    assert examine(process.identity.pid) is None


async def test_only_that_very_process_is_held() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert Process.hold(dataclasses.replace(me, start_ticks=me.start_ticks - 1)) is None
    held = Process.hold(me)
    assert held is not None
    held.let_go()


async def test_the_end_of_another_ones_child_is_noticed_without_its_status() -> None:
    # The shell passes the sleeping process on to whoever reaps orphans.
    shell = await asyncio.create_subprocess_exec(
        "sh", "-c", "sleep 1000 >/dev/null & echo $!", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await shell.communicate()
    identity = identify(int(out))
    assert identity is not None
    held = Process.hold(identity)
    assert held is not None
    held.send(signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        ending = await held.wait()
    assert ending == Ending()
    assert not is_alive(identity)
    held.send(signal.SIGKILL)  # harmless
    held.release()


async def test_uninterrupted_work_is_done_before_the_cancellation_is_raised() -> None:
    go_on, steps = asyncio.Event(), list[str]()

    async def work() -> None:
        await go_on.wait()
        steps.append("done")

    task = asyncio.create_task(uninterrupted(work(), name="work"))
    for _ in range(2):  # twice: the second must not get through either
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["done"]
