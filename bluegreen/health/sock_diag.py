"""Listening TCP sockets by netlink: what ``ss`` asks, at a small part of the cost of ``/proc``.

``/proc/net/tcp6`` walks the whole table of connections whatever it holds. Format: ``sock_diag(7)``.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator

from bluegreen.health.listener import Listener, packed_host

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
TCP_LISTEN = 10
INET_DIAG_SKV6ONLY = 11
INET_DIAG_CGROUP_ID = 21
ANSWER_TIMEOUT = 2.0  # seconds
LARGEST_MESSAGE = 64 * 1024  # bytes

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBBxI48x")  # family, protocol, extensions, states; any address
_MESSAGE = struct.Struct("!BBxxH2x16s16x12x16x4s")  # family, state, port, address; inode as it is
_ATTRIBUTE = struct.Struct("=HH")  # length, type


def listeners() -> list[Listener]:
    """Every listening TCP socket of this network namespace. Blocks, but hardly.

    Raises OSError where the kernel does not offer it.
    """
    found = []
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(ANSWER_TIMEOUT)
        for family in (socket.AF_INET, socket.AF_INET6):
            request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 1 << TCP_LISTEN)
            length = _HEADER.size + len(request)
            header = _HEADER.pack(length, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, family, 0)
            kernel.sendto(header + request, (0, 0))
            found += [_listener(message) for message in _answers(kernel)]
    return found


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
    family, _, port, address, inode = _MESSAGE.unpack_from(message)
    host = packed_host(address[:4] if family == socket.AF_INET else address)
    group = _attribute(message[_MESSAGE.size :], INET_DIAG_CGROUP_ID)
    return Listener(
        inode=int.from_bytes(inode, sys.byteorder),
        host=host,
        port=port,
        ipv6_only=bool(_attribute(message[_MESSAGE.size :], INET_DIAG_SKV6ONLY).strip(b"\0")),
        control_group=int.from_bytes(group, sys.byteorder) if group else None,
    )


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
