"""Loopback ports for tests."""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

from bluegreen.demo import ports as demos

_LOWEST, _HIGHEST = 10_000, 65_000
_REFUSED = {10_080}  # by browsers, as a port for web pages
# ``1/2`` is the second of two parts of all ports, block by block: for tests that run at the same
# time.
_PART, _PARTS = map(int, os.environ.get("BLUEGREEN_TEST_PORTS", "0/1").split("/"))
_BLOCK = 8  # ports side by side that are of one part
_given: set[int] = set()  # by this process, so that no two apps of a test get one port


def is_of_part(port: int) -> bool:
    """Whether it is for the tests of this process, and none that run beside it."""
    return port // _BLOCK % _PARTS == _PART


def kernel_ports(count: int) -> list[int]:
    """Distinct loopback ports that the kernel lets us bind now.

    Not of the range that it takes the ports of outgoing connections from: a load of many
    connections would soon stumble over those. Nor, while there are others, of those that demos
    take, which run beside other tests: of a slot that does not run nobody sees that its ports are
    somebody's.
    """
    found = list(itertools.islice(filter(_binds, _not_given()), count))
    assert len(found) == count, "there are no free ports any more"
    _given.update(found)
    return found


def _not_given() -> Iterator[int]:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    beside = (range(_LOWEST, demos.FIRST), range(last + 1, _HIGHEST))
    for ports in (itertools.chain(*beside), range(demos.FIRST, first)):
        taken = _given | _REFUSED
        ours = [port for port in ports if is_of_part(port) and port not in taken]
        random.shuffle(ours)
        yield from ours


def kernel_port_range(count: int) -> int:
    """The first of ``count`` ports side by side, at most a block, as `kernel_ports` finds them."""
    while True:
        (first,) = kernel_ports(1)
        ports = range(first, first + count)
        is_of_one_part = first // _BLOCK == ports[-1] // _BLOCK
        if is_of_one_part and _given.isdisjoint(ports[1:]) and all(map(_binds, ports)):
            _given.update(ports)
            return first


def _binds(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
