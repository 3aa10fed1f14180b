"""The control socket: made by the daemon, or handed over to it and left alone at its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.stack import PYTHON, Stack, stack
from tests.waiting import PATIENCE, eventually

# What a service manager does between fork and exec.
LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3);"
    "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
    "os.execv(sys.executable, [sys.executable, '-m', 'bluegreen', *sys.argv[2:]])"
)


@pytest.fixture
async def empty() -> AsyncIterator[Stack]:
    async with stack() as built:
        built.layout.run.mkdir(parents=True)
        yield built


@pytest.fixture
def listener(empty: Stack) -> Iterator[socket.socket]:
    """The socket at its right place, as a manager holds it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held:
        held.bind(str(empty.layout.control_socket))
        held.listen()
        yield held


async def start(stack: Stack, handed_over: socket.socket) -> asyncio.subprocess.Process:
    """A daemon that is given the socket as descriptor 3; it may not have come up yet."""
    descriptor = handed_over.fileno()
    with stack.daemon_log.open("ab") as log:
        stack.daemon = await asyncio.create_subprocess_exec(
            PYTHON, "-c", LAUNCHER, str(descriptor), "serve", "--root", str(stack.root),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(descriptor,),
        )  # fmt: skip
    return stack.daemon


def inherited(pid: int) -> tuple[set[str], bytes]:
    """What a process has open, and its environment."""
    links = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # one that is closed as we look
            links.add(os.readlink(entry.path))
    return links, Path(f"/proc/{pid}/environ").read_bytes()


async def test_commands_wait_for_a_daemon_that_is_being_restarted(
    empty: Stack, listener: socket.socket
) -> None:
    waiting = await empty.start_cli("status", "--json")
    for _ in range(2):
        await start(empty, listener)
        out, err = await asyncio.wait_for(waiting.communicate(), PATIENCE)
        assert waiting.returncode == 0, err.decode()
        assert b'"apps"' in out
        assert await empty.terminate() == 0
        assert empty.layout.control_socket.is_socket()
        waiting = await empty.start_cli("status", "--json")
    waiting.kill()
    await waiting.communicate()


async def test_what_was_handed_over_is_not_passed_on_to_children(
    empty: Stack, listener: socket.socket
) -> None:
    empty.write_app(services=("api",))
    await start(empty, listener)
    await empty.deploy("v1")

    inode = f"socket:[{os.fstat(listener.fileno()).st_ino}]"
    processes = empty.live_processes()
    assert processes
    for process in processes:
        links, environment = await asyncio.to_thread(inherited, process.pid)
        assert inode not in links
        assert b"LISTEN_" not in environment


async def test_a_socket_elsewhere_is_refused(empty: Stack) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as elsewhere:
        elsewhere.bind(str(empty.root / "elsewhere.sock"))
        elsewhere.listen()
        daemon = await start(empty, elsewhere)
        assert await asyncio.wait_for(daemon.wait(), PATIENCE) == 1

    said = empty.daemon_log.read_text()
    assert f"{empty.root}/elsewhere.sock, and commands ask at" in said
    assert "Next: let both be the same" in said


async def test_what_is_no_listening_unix_socket_is_refused(empty: Stack) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as wrong:
        wrong.bind(("127.0.0.1", 0))
        wrong.listen()
        daemon = await start(empty, wrong)
        assert await asyncio.wait_for(daemon.wait(), PATIENCE) == 1

    assert "what was handed over is no listening unix socket" in empty.daemon_log.read_text()


async def test_a_socket_for_another_process_is_not_taken(empty: Stack) -> None:
    await empty.serve(prefix=("env", "LISTEN_PID=1", "LISTEN_FDS=1"))

    mode = empty.layout.control_socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660
    await empty.terminate()
    await eventually(lambda: not empty.layout.control_socket.exists(), "its own socket is removed")
