"""The socket to which nginx sends a datagram for each request of an app that is watched.

The kernel keeps as few as ten that are not read yet, and nginx does not wait: what finds no room is
lost, and the request is served all the same. So a thread of its own reads them as they come. It
reads no more than `MOST` in each `LOOK`: whoever floods the socket takes no more of a processor.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections import deque
from pathlib import Path

from bluegreen.private_socket import bind_privately
from bluegreen.watching.recording import LOOK

MOST = 3000  # datagrams in each LOOK, more than an nginx on two processors has requests
_KEPT = 4 * MOST  # that wait to be taken, if whoever takes them is late
_LONGEST = 1024  # bytes; what is longer is none of nginx's
_CREDENTIALS = struct.Struct("3i")  # of whoever has sent it: pid, uid, gid
_FOR_ALL = 0o666


class Receiver:
    """``strange`` counts what did not come from nginx. Open it, `listen`, `take`; then close it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._senders: frozenset[int] = frozenset()  # none: whatever comes is let go
        self._come: deque[bytes] = deque(maxlen=_KEPT)
        self.strange = 0

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def open(self, *, for_all: bool) -> None:
        """``for_all``: nginx's workers are users of their own. Raises OSError."""
        made = bind_privately(self._path, socket.SOCK_DGRAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            if for_all:  # the kernel says who sends
                os.chmod(self._path, _FOR_ALL)
        except OSError:
            made.close()
            raise
        self._socket = made
        self._thread = threading.Thread(
            target=self._receive, args=(made,), name="watch socket", daemon=True
        )
        self._thread.start()

    def listen(self, senders: frozenset[int]) -> None:
        """Keep from now on what these users send; of none, nothing."""
        self._senders = senders
        if not senders:
            self._come.clear()

    def take(self) -> list[bytes]:
        """What has come since the last time; of too much, the latest."""
        taken = []
        while self._come:
            taken.append(self._come.popleft())
        return taken

    def close(self) -> None:
        """Nginx has been told to be silent before."""
        if self._socket is None or self._thread is None:
            return
        self._path.unlink(missing_ok=True)
        self._socket.shutdown(socket.SHUT_RD)  # wakes the thread
        self._thread.join()
        self._socket.close()
        self._socket = self._thread = None

    def _receive(self, come: socket.socket) -> None:
        room = socket.CMSG_SPACE(_CREDENTIALS.size)
        until, left = 0.0, MOST
        while True:
            try:
                data, ancillary, _, _ = come.recvmsg(_LONGEST, room)
            except OSError:
                return
            if not ancillary:  # nobody has sent that: it is closed
                return
            if (now := time.monotonic()) >= until:
                until, left = now + LOOK, MOST
            left -= 1
            senders = self._senders
            if senders:
                if _CREDENTIALS.unpack(ancillary[0][2])[1] in senders:
                    self._come.append(data)
                else:
                    self.strange += 1
            if left <= 0:
                time.sleep(max(0.0, until - now))
