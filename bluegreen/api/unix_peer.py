"""Who is at the other end of the control socket, as the kernel says."""

from __future__ import annotations

import asyncio
import logging
import pwd
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

log = logging.getLogger(__name__)

NAME_LIMIT = 0.5  # seconds: a directory service that is down must not hold a switch up

_UCRED = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)
_SO_PEERGROUPS = 59  # asm-generic/socket.h; Python has no name for it
_GROUPS = struct.Struct("I")
_MOST_GROUPS = 1024  # bytes, the most that Python asks for
_names: dict[int, str] = {}  # those that were found
_lookups = ThreadPoolExecutor(1, "user names")  # the one that hangs is no other work's


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A process as it was when it connected. ``groups`` are numbers, its first one among them."""

    uid: int
    groups: frozenset[int]


def uid_of(connection: socket.socket) -> int:
    """The user at the other end of a unix socket. Raises OSError."""
    return _credentials(connection)[0]


def peer_of(connection: socket.socket) -> Peer:
    """The user and the groups at the other end of a unix socket. Raises OSError."""
    uid, gid = _credentials(connection)
    try:
        others = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS)
    except OSError as error:  # more than fit: the first one counts
        log.warning("the groups of a process of uid %d cannot be read: %s", uid, error.strerror)
        others = b""
    return Peer(uid=uid, groups=frozenset({gid, *(g for (g,) in _GROUPS.iter_unpack(others))}))


def _credentials(connection: socket.socket) -> tuple[int, int]:
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, gid = _UCRED.unpack(found)
    return uid, gid


async def name_of(uid: int) -> str:
    """``uid 1000 (alice)``, or with ``unknown`` where her name is not found in time."""
    return f"uid {uid} ({await _name(uid)})"


async def _name(uid: int) -> str:
    if uid not in _names:
        looking = asyncio.get_running_loop().run_in_executor(_lookups, pwd.getpwuid, uid)
        try:
            _names[uid] = (await asyncio.wait_for(looking, NAME_LIMIT)).pw_name
        except KeyError:
            return "unknown"
        except TimeoutError:
            log.warning("the name of uid %d was not found within %g s", uid, NAME_LIMIT)
            return "unknown"
    return _names[uid]
