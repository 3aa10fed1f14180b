"""The tcp probe: a connection is accepted, and closed again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from pathlib import Path

from bluegreen.health.answer import Answer, connection_failure, no_answer, refused
from bluegreen.model import Address


async def ask_tcp(address: Address, timeout: float) -> Answer:
    """Connect to ``address`` within ``timeout`` seconds."""
    try:
        if address.socket is not None:
            return _ask_socket(address.socket)
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection("127.0.0.1", address.port)
            writer.close()
            with contextlib.suppress(ConnectionError):  # it had accepted: that was the question
                await writer.wait_closed()
    except TimeoutError:
        return no_answer(timeout)
    except OSError as error:
        return refused(connection_failure(error))
    return Answer(passed=True, text="connection accepted")


def _ask_socket(path: Path) -> Answer:
    number = connect_status(path)
    if number == 0:
        return Answer(passed=True, text="connection accepted")
    if number == errno.EAGAIN:
        return refused("its queue of connections is full")
    return refused(connection_failure(OSError(number, os.strerror(number))))


def connect_status(path: Path) -> int:
    """The errno of connecting to a unix socket, 0 for success. Never blocks.

    A full queue is EAGAIN; asyncio would take that for a connection in progress.
    Raises OSError for a path longer than a unix socket's address can be.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        return connection.connect_ex(str(path))
