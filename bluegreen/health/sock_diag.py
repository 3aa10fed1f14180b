"""Sockets by netlink: what ``ss`` asks, at a small part of the cost of ``/proc``.

``/proc/net/tcp6`` walks the whole table of connections whatever it holds, and ``/proc/net/unix``
does not say who is at the other end. Format: ``sock_diag(7)``.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Collection, Iterable, Iterator

from bluegreen.health.connection import End
from bluegreen.health.listener import Listener, packed_host

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
TCP_ESTABLISHED = 1
TCP_LISTEN = 10
INET_DIAG_REQ_BYTECODE = 1
INET_DIAG_SKV6ONLY = 11
INET_DIAG_CGROUP_ID = 21
UDIAG_SHOW_NAME_AND_PEER = 0x5  # UDIAG_SHOW_NAME | UDIAG_SHOW_PEER
UNIX_DIAG_NAME = 0
UNIX_DIAG_PEER = 2
ANSWER_TIMEOUT = 2.0  # seconds
LARGEST_MESSAGE = 64 * 1024  # bytes

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBBxI48x")  # family, protocol, extensions, states; any address
# Family, state, ports, addresses; inode as it is.
_MESSAGE = struct.Struct("!BBxxHH16s16s12x16x4s")
_UNIX_REQUEST = struct.Struct("=BxxxI4xI8x")  # family, states, what to show; any inode
_UNIX_MESSAGE = struct.Struct("=BBBxI8x")  # family, type, state, inode
_MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address as IPv6 has it
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_BC_STEP = struct.Struct("=BBH")  # code, yes, no
_BC_JMP, _BC_S_GE, _BC_S_LE, _BC_D_GE, _BC_D_LE = range(1, 6)


def listeners() -> list[Listener]:
    """Every listening TCP socket of this network namespace. Blocks, but hardly.

    Raises OSError where the kernel does not offer it.
    """
    return [_listener(message) for message in _tcp(TCP_LISTEN)]


def connections(ports: Collection[int]) -> list[End]:
    """Both ends, where both are here, of every established TCP connection to one of ``ports``.

    And of some to ports between these. As `listeners`.
    """
    # The kernel leaves the others out: a busy host has tens of thousands, each read in Python.
    return [_end(message) for message in _tcp(TCP_ESTABLISHED, _of_either(min(ports), max(ports)))]


def unix_connections() -> list[End]:
    """The same of unix sockets; not of those that nobody has accepted yet. As `listeners`."""
    request = _UNIX_REQUEST.pack(socket.AF_UNIX, 1 << TCP_ESTABLISHED, UDIAG_SHOW_NAME_AND_PEER)
    ends = (_unix_end(message) for message in _asked([request]))
    # An end stays established until it is closed itself; of a peer that has closed there is 0.
    return [end for end in ends if end.peer != 0]


def _tcp(state: int, filters: bytes = b"") -> Iterator[bytes]:
    return _asked(
        _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 1 << state) + filters
        for family in (socket.AF_INET, socket.AF_INET6)
    )


def _of_either(low: int, high: int) -> bytes:
    """An attribute by which the kernel dumps what has a port from ``low`` to ``high`` at an end.

    Its program is run for each socket, and takes one that comes to its end. Each step says how many
    bytes further to go where it is so, and where not: beyond the end is no. Source: ss(8) and
    ``inet_diag_bc_run`` in ``net/ipv4/inet_diag.c``.
    """
    steps = (
        _compared(_BC_S_GE, low, otherwise=20), _compared(_BC_S_LE, high, otherwise=12),
        _BC_STEP.pack(_BC_JMP, 4, 20),  # past the other two, to the end
        _compared(_BC_D_GE, low, otherwise=20), _compared(_BC_D_LE, high, otherwise=12),
    )  # fmt: skip
    program = b"".join(steps)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(program), INET_DIAG_REQ_BYTECODE) + program


def _compared(code: int, port: int, *, otherwise: int) -> bytes:
    """One step, of two words: the port stands in the second."""
    return _BC_STEP.pack(code, 8, otherwise) + _BC_STEP.pack(0, 0, port)


def _asked(requests: Iterable[bytes]) -> Iterator[bytes]:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(ANSWER_TIMEOUT)
        for number, request in enumerate(requests):
            length = _HEADER.size + len(request)
            header = _HEADER.pack(length, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, number, 0)
            kernel.sendto(header + request, (0, 0))
            yield from _answers(kernel)


def _answers(kernel: socket.socket) -> Iterator[bytes]:
    """The messages of one dump, without their headers."""
    while True:
        data = kernel.recv(LARGEST_MESSAGE)
        while len(data) >= _HEADER.size:
            length, kind, _, _, _ = _HEADER.unpack_from(data)
            message, data = data[_HEADER.size : length], data[_aligned(length) :]
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                number = -struct.unpack_from("=i", message)[0] or errno.EPROTO
                raise OSError(number, os.strerror(number))
            yield message


def _listener(message: bytes) -> Listener:
    family, _, port, _, address, _, inode = _MESSAGE.unpack_from(message)
    host = packed_host(address[:4] if family == socket.AF_INET else address)
    group = _attribute(message[_MESSAGE.size :], INET_DIAG_CGROUP_ID)
    return Listener(
        inode=int.from_bytes(inode, sys.byteorder),
        host=host,
        port=port,
        ipv6_only=bool(_attribute(message[_MESSAGE.size :], INET_DIAG_SKV6ONLY).strip(b"\0")),
        control_group=int.from_bytes(group, sys.byteorder) if group else None,
    )


def _end(message: bytes) -> End:
    family, _, port, peer_port, address, peer_address, inode = _MESSAGE.unpack_from(message)
    here, there = (_plain(family, one) for one in (address, peer_address))
    group = _attribute(message[_MESSAGE.size :], INET_DIAG_CGROUP_ID)
    return End(
        inode=int.from_bytes(inode, sys.byteorder),
        name=(here, port, there, peer_port),
        peer=(there, peer_port, here, port),
        port=port,
        control_group=int.from_bytes(group, sys.byteorder) if group else None,
    )


def _plain(family: int, address: bytes) -> bytes:
    """The same bytes whichever family of sockets an IPv4 address is seen by."""
    if family == socket.AF_INET:
        return address[:4]
    return address.removeprefix(_MAPPED)


def _unix_end(message: bytes) -> End:
    _, _, _, inode = _UNIX_MESSAGE.unpack_from(message)
    attributes = message[_UNIX_MESSAGE.size :]
    # Bound to a path it is the server's; a name that begins with NUL is abstract.
    path = _attribute(attributes, UNIX_DIAG_NAME).rstrip(b"\0")
    peer = int.from_bytes(_attribute(attributes, UNIX_DIAG_PEER), sys.byteorder)
    return End(
        inode=inode, name=inode, peer=peer,
        path=os.fsdecode(path) if path and not path.startswith(b"\0") else None,
    )  # fmt: skip


def _attribute(data: bytes, wanted: int) -> bytes:
    """The value of an attribute; empty when it is not there."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if kind == wanted:
            return data[_ATTRIBUTE.size : length]
        data = data[max(_aligned(length), _ATTRIBUTE.size) :]
    return b""


def _aligned(length: int) -> int:
    return (length + 3) & ~3
