"""Listening sockets, who holds them and who is connected to them, as the kernel tells.

Everything here blocks for as long as reading ``/proc`` takes: call it in a thread. Formats:
``proc(5)`` and the kernel's ``Documentation/networking/proc_net_tcp.rst``.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
from collections.abc import Collection, Iterable
from pathlib import Path

from bluegreen.health import sock_diag
from bluegreen.health.connection import End
from bluegreen.health.listener import Host, Listener, packed_host
from bluegreen.model import Address

_TCP_LISTENER = re.compile(
    rb": (?P<host>[0-9A-F]{8}|[0-9A-F]{32}):(?P<port>[0-9A-F]{4}) [0-9A-F]+:0000 0A "
    rb"\S+ \S+ \S+ +\d+ +\d+ (?P<inode>\d+) "
)
_UNIX_LISTENER = re.compile(
    rb"^[0-9a-f]+: \S+ \S+ (?P<flags>[0-9A-F]{8}) \S+ \S+ +(?P<inode>\d+) (?P<path>.+)$", re.M
)
TABLE_CHUNK = 16 * 1024  # bytes
_ACCEPTS_CONNECTIONS = 0x10000  # __SO_ACCEPTCON


def tcp_listeners() -> list[Listener]:
    """Every listening TCP socket of this network namespace."""
    try:
        return sock_diag.listeners()
    except OSError:  # a kernel, or a sandbox, without it
        return tcp_listeners_by_proc()


def tcp_listeners_by_proc() -> list[Listener]:
    """The same from ``/proc/net``, where an IPv6 listener does not say whether it takes IPv4."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
            found += [
                Listener(
                    inode=int(match["inode"]),
                    host=_host(match["host"]),
                    port=int(match["port"], 16),
                )
                for match in _TCP_LISTENER.finditer(_listening_part(Path(table)))
            ]
    return found


def _listening_part(table: Path) -> bytes:
    """The start of a table, with all its listeners: the kernel lists them first, by its own word.

    A busy host has tens of thousands of connections after them, which would take long to read.
    """
    part = b""
    with table.open("rb", buffering=0) as file:
        while chunk := file.read(TABLE_CHUNK):
            part += chunk
            last_line = part[: part.rfind(b"\n")].rpartition(b"\n")[2].split()
            if len(last_line) > 3 and last_line[0].endswith(b":") and last_line[3] != b"0A":
                break
    return part


def _host(text: bytes) -> Host:
    """An address as the kernel prints it: 32-bit words in the machine's byte order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return packed_host(struct.pack(f"={len(words)}I", *words))


def unix_listeners() -> list[Listener]:
    """Every listening unix socket with a path, those whose file is gone included."""
    return [
        Listener(inode=int(match["inode"]), path=os.fsdecode(match["path"]))
        for match in _UNIX_LISTENER.finditer(Path("/proc/net/unix").read_bytes())
        if int(match["flags"], 16) & _ACCEPTS_CONNECTIONS and not match["path"].startswith(b"@")
    ]


def clients_of(addresses: Iterable[Address]) -> list[End | None]:
    """The other end of every established connection to one of ``addresses``.

    None: it is not on this host. Of a port it does not matter by which address it was reached.
    Raises OSError where the kernel does not tell.
    """
    addresses = tuple(addresses)
    ports = {one.port for one in addresses if one.port is not None}
    paths = [one.socket for one in addresses if one.socket is not None]
    tcp = sock_diag.connections(ports) if ports else []
    unix = sock_diag.unix_connections() if paths else []
    served = [end for end in tcp if end.port in ports]
    served += [end for end in unix if any(bound_to(end, path) for path in paths)]
    others = {end.name: end for end in (*tcp, *unix)} if served else {}
    return [others.get(end.peer) for end in served]


def bound_to(bound: Listener | End, path: Path) -> bool:
    """Whether it may be the socket at ``path``: one bound to a relative path has only its name."""
    if bound.path is None:
        return False
    if not os.path.isabs(bound.path):
        return os.path.basename(bound.path) == path.name
    return bound.path == str(path) or os.path.realpath(bound.path) == os.path.realpath(path)


def peer_pid(path: Path) -> int | None:
    """The PID that listens at ``path``, from a connection to it; None when nobody does.

    What the kernel says is the process that called ``listen``, which may have ended since.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        if connection.connect_ex(str(path)) != 0:
            return None
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("=iII", credentials)[0])


def sockets_of(pid: int) -> frozenset[int]:
    """The inodes of a process's open sockets; none for a process that has ended.

    Raises PermissionError for a process of another user.
    """
    inodes = set()
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except (FileNotFoundError, ProcessLookupError):
        return frozenset()
    for name in names:
        # Closed, or the process ended, since the listing.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            link = os.readlink(f"/proc/{pid}/fd/{name}")
            if link.startswith("socket:["):
                inodes.add(int(link[8:-1]))
    return frozenset(inodes)


def holder(listeners: Iterable[Listener], *, besides: Collection[int] = ()) -> str:
    """``pid 123 (nginx)``: the first process that holds one of the sockets.

    Looks through all processes but those in ``besides``; the sockets of another user's are hidden
    from an ordinary one.
    """
    wanted = {listener.inode for listener in listeners}
    pids = sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    for pid in pids:
        if pid in besides:
            continue
        with contextlib.suppress(PermissionError):
            if wanted & sockets_of(pid):
                return named(pid)
    return "another user's process"


def named(pid: int) -> str:
    """``pid 123 (nginx)``."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return f"pid {pid} ({Path(f'/proc/{pid}/comm').read_text(errors='replace').strip()})"
    return f"pid {pid}, which has ended"
