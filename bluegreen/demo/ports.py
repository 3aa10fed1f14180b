"""Ports for a demo, beside other demos on the same machine."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from bluegreen.errors import BluegreenError

# Below the ports that Linux gives to outgoing connections (from 32768 on), of which a load makes
# many: one of them could sit on the port of a service that is about to start.
FIRST, LAST, BLOCK = 20_000, 32_000, 16
HOST = "127.0.0.1"


class NoPortsError(BluegreenError):
    """Not enough ports are free on this machine."""

    kind: ClassVar[str] = "ports"


@contextmanager
def claimed_ports(count: int) -> Iterator[list[int]]:
    """``count`` free loopback ports, fewer than BLOCK, that no other demo gets in the meantime.

    The first port of their block is bound, as a sign to the others. Raises NoPortsError.
    """
    blocks = list(range(FIRST, LAST, BLOCK))
    secrets.SystemRandom().shuffle(blocks)
    for start in blocks:
        with socket.socket() as sign:
            if not _binds(sign, start):
                continue
            free = [port for port in range(start + 1, start + BLOCK) if _is_free(port)]
            if len(free) < count:
                continue
            yield free[:count]
            return
    raise NoPortsError(
        f"no {count} ports side by side are free between {FIRST} and {LAST}",
        remedy="end some of what listens there; see it with: ss -ltnp",
    )


def _binds(listener: socket.socket, port: int) -> bool:
    try:
        listener.bind((HOST, port))
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        return _binds(listener, port)
