"""Daemons that are forked from a process which has imported them, and what it is like to be it.

A daemon spends most of its start on imports, half a second of a processor. The tests start some
hundreds: what is imported once serves them all. A forked one runs the command as it is typed, with
its own environment, directory and descriptors; but its name in lists of processes is that of the
process that it was forked from, and its rehearsals keep to the ports of these tests. Those tests
that are about the start itself do without.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

from tests.ports import is_of_part
from tests.waiting import PATIENCE

_LONGEST = 256 * 1024  # bytes of a request: an environment and arguments
_IMPORTED = ("bluegreen.cli.parser", "bluegreen.cli.serve")


class Process(Protocol):
    """What a test does with a daemon: the part of asyncio's that a forked one has too."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...
    def send_signal(self, signal: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Forked:
    """A process that was forked for us. Made by :func:`fork`."""

    def __init__(self, pid: int, descriptor: int, outcome: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._descriptor = descriptor  # of the process: its number may be another's one day
        self._outcome = outcome
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(outcome, self._read_outcome)

    def _read_outcome(self) -> None:
        self._loop.remove_reader(self._outcome)
        said = self._outcome.recv(64)
        self._outcome.close()
        os.close(self._descriptor)
        self.returncode = int(said) if said else -signal.SIGKILL  # who forked it has ended
        self._ended.set_result(self.returncode)

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    def send_signal(self, signal: int) -> None:
        """Raises ProcessLookupError once it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        _send_signal(self._descriptor, signal)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _send_signal(descriptor: int, number: int) -> None:
    signal.pidfd_send_signal(descriptor, signal.Signals(number))


class _Template:
    """The process that forks, and our connection to it."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.settimeout(PATIENCE)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                cwd=Path(__file__).resolve().parents[1],
            )  # fmt: skip
        atexit.register(self._end)

    def fork(self, request: bytes, log: int) -> tuple[int, int, socket.socket]:
        """PID, descriptor of the process, and what will say how it has ended."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(PATIENCE)
        with theirs:
            socket.send_fds(self._ours, [request], [log, theirs.fileno()])
        pid, [descriptor], _, _ = socket.recv_fds(ours, 64, 1)
        ours.setblocking(False)
        return int(pid), descriptor, ours

    def _end(self) -> None:
        self._ours.close()
        self._process.wait(PATIENCE)


_template: _Template | None = None  # of this process


async def fork(arguments: Sequence[str], *, env: Mapping[str, str], log: IO[bytes]) -> Process:
    """Run ``bluegreen ARGUMENTS`` in a process of its own, with its output in ``log``."""
    global _template
    if _template is None:
        _template = _Template()
    request = json.dumps({"arguments": arguments, "env": dict(env), "cwd": os.getcwd()}).encode()
    assert len(request) < _LONGEST
    return Forked(*await asyncio.to_thread(_template.fork, request, log.fileno()))


# -- the process that forks -----------------------------------------------------------------


class _Children:
    """Those that were forked, and whom to tell of their ends."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._events = selectors.DefaultSelector()
        self._events.register(connection, selectors.EVENT_READ)

    def next(self) -> list[str] | None:
        """Returns in each child, with its arguments; without any once nobody asks any more."""
        while True:
            for key, _ in self._events.select():
                if key.data is not None:
                    self._tell_end(key)
                elif (arguments := self._fork()) is not None:
                    return arguments or None

    def _fork(self) -> list[str] | None:
        """The arguments, in a child; nothing in the parent, and none at the end."""
        text, descriptors, _, _ = socket.recv_fds(self._connection, _LONGEST, 2)
        if not text:
            return []
        log, outcome = descriptors
        pid = os.fork()
        if pid:
            os.close(log)
            process = os.pidfd_open(pid)
            asked = socket.socket(fileno=outcome)
            socket.send_fds(asked, [b"%d" % pid], [process])
            self._events.register(process, selectors.EVENT_READ, (pid, asked))
            return None
        request = json.loads(text)
        os.dup2(log, 1)
        os.dup2(log, 2)
        self._forget()
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        arguments: list[str] = request["arguments"]
        return arguments

    def _forget(self) -> None:
        """Nothing of what the parent has open is a child's."""
        for key in self._events.get_map().values():
            if key.data is not None:
                key.data[1].close()
        self._events.close()
        self._connection.close()
        os.closerange(3, 1024)

    def _tell_end(self, key: selectors.SelectorKey) -> None:
        pid, asked = key.data
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):  # the test has ended
            asked.send(b"%d" % os.waitstatus_to_exitcode(status))
        asked.close()
        self._events.unregister(key.fd)
        os.close(key.fd)


def _keep_to_part() -> None:
    """Rehearsals take any port that is free, such as one that is about to be another test's.

    Where tests run beside these, only those ports are free that are for these.
    """
    from bluegreen.operations import free_addresses

    is_free = free_addresses._is_free
    free_addresses._is_free = lambda port: is_of_part(port) and is_free(port)


def main(descriptor: int) -> int:
    """Fork until nobody asks any more."""
    from bluegreen.cli import main as command

    gc.disable()
    for name in _IMPORTED:
        importlib.import_module(name)
    _keep_to_part()
    gc.freeze()  # a collection would write to pages that all of them share
    gc.enable()
    connection = socket.socket(fileno=descriptor)
    arguments = _Children(connection).next()
    return 0 if arguments is None else command(arguments)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
