"""Who is at the other end of the control socket, as the kernel says."""

from __future__ import annotations

import pwd
import socket
import struct

from aiohttp import web

from bluegreen.model import Requester

_UCRED = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)


def requester(request: web.Request) -> Requester:
    """The user of the process that asks, by SO_PEERCRED."""
    transport = request.transport
    peer = transport.get_extra_info("socket") if transport is not None else None
    if peer is None:
        return Requester(name="somebody who has hung up", via="unix socket")
    _, uid, _ = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = "unknown"
    return Requester(name=f"uid {uid} ({name})", via="unix socket")
