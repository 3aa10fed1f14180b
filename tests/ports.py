"""Loopback ports for tests."""

from __future__ import annotations

import functools
import os
import random
import socket
from pathlib import Path

from bluegreen.demo import ports as demos

_LOWEST, _HIGHEST = 10_000, 65_000
# ``1/2`` is the second of two parts of all ports, block by block: for tests that run at the same
# time.
_PART, _PARTS = map(int, os.environ.get("BLUEGREEN_TEST_PORTS", "0/1").split("/"))
_BLOCK = 8  # ports side by side that are of one part
_given: set[int] = set()  # by this process, so that no two apps of a test get one port


def kernel_ports(count: int) -> list[int]:
    """Distinct loopback ports that the kernel lets us bind now.

    Not of the range that it takes the ports of outgoing connections from: a load of many
    connections would soon stumble over those. Nor of those that demos take, which run beside other
    tests: of a slot that does not run nobody sees that its ports are somebody's.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_candidates())
        if port // _BLOCK % _PARTS != _PART:
            continue
        if _binds(port) and port not in _given:
            _given.add(port)
            found.append(port)
    return found


def kernel_port_range(count: int) -> int:
    """The first of ``count`` ports side by side, at most a block, as `kernel_ports` finds them."""
    while True:
        (first,) = kernel_ports(1)
        ports = range(first, first + count)
        is_of_one_part = first // _BLOCK == ports[-1] // _BLOCK
        if is_of_one_part and _given.isdisjoint(ports[1:]) and all(map(_binds, ports)):
            _given.update(ports)
            return first


@functools.cache
def _candidates() -> list[int]:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    taken = (range(first, last + 1), range(demos.FIRST, demos.LAST))
    return [
        port for port in range(_LOWEST, _HIGHEST) if not any(port in others for others in taken)
    ]


def _binds(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
