"""Services that say themselves when they are ready, as sd_notify(3) has it."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import struct

_LONGEST = 4096  # bytes of a message
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid, of unix(7)


class ReadySocket:
    """Where one service says ``READY=1``. Close it."""

    def __init__(self) -> None:
        """Raises OSError."""
        # Abstract: it leaves no file behind, and no path is too long for it.
        name = f"bluegreen/ready/{secrets.token_hex(16)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.bind(f"\0{name}")
        except OSError:
            self._socket.close()
            raise
        self.variables = {"NOTIFY_SOCKET": f"@{name}"}
        """For the environment of the service."""

    async def said(self) -> None:
        """Returns once a process of our user has said that the service is ready."""
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()
        loop.add_reader(self._socket, heard.set)
        try:
            while not self._is_ready():
                await heard.wait()
                heard.clear()
        finally:
            loop.remove_reader(self._socket)

    def _is_ready(self) -> bool:
        """Whether that is among what has arrived."""
        room = socket.CMSG_SPACE(_CREDENTIALS.size)  # no more: descriptors are not taken
        while True:
            try:
                message, ancillary, _, _ = self._socket.recvmsg(_LONGEST, room)
            except BlockingIOError:
                return False
            users = [
                _CREDENTIALS.unpack(data)[1]
                for level, kind, data in ancillary
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS)
            ]
            if users == [os.geteuid()] and b"READY=1" in message.split(b"\n"):
                return True

    def close(self) -> None:
        """What is said from now on reaches nobody."""
        self._socket.close()
