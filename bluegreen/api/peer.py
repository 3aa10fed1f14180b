"""Who is at the other end of the control socket, as the kernel says."""

from __future__ import annotations

import asyncio
import logging
import pwd
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from bluegreen.model import Requester

log = logging.getLogger(__name__)

NAME_LIMIT = 0.5  # seconds: a directory service that is down must not hold a switch up

_UCRED = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)
_names: dict[int, str] = {}  # those that were found
_lookups = ThreadPoolExecutor(1, "user names")  # the one that hangs is no other work's


async def requester(request: web.Request) -> Requester:
    """The user of the process that asks, by SO_PEERCRED."""
    transport = request.transport
    peer = transport.get_extra_info("socket") if transport is not None else None
    if peer is None:
        return Requester(name="somebody who has hung up", via="unix socket")
    _, uid, _ = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Requester(name=f"uid {uid} ({await _name(uid)})", via="unix socket")


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
