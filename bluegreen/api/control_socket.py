"""The socket that commands connect to: handed over by the service manager, or made here."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import RefusedError
from bluegreen.private_socket import bind_privately

FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_REMEDY = "see ListenStream= in the socket unit: one, and the daemon's control socket"


@dataclass(frozen=True)
class ControlSocket:
    """A listening socket at ``path``; one that was handed over is not ours to remove."""

    listener: socket.socket
    path: Path
    handed_over: bool

    def remove(self) -> None:
        """Close it, and remove it from the file system unless somebody else keeps it."""
        self.listener.close()
        if not self.handed_over:
            self.path.unlink(missing_ok=True)


def take_over(environment: MutableMapping[str, str]) -> socket.socket | None:
    """The socket that the process's ``environment`` says was handed over, None without one.

    To be called before anything is started: neither the variables nor the descriptor are for
    the daemon's children. Raises RefusedError when it is not one listening unix socket.
    """
    process, count, _ = (environment.pop(name, "") for name in _VARIABLES)
    if process != str(os.getpid()):
        return None
    if count != "1":
        raise RefusedError(f"{count} sockets were handed over, not one", remedy=_REMEDY)
    try:
        os.set_inheritable(FIRST_DESCRIPTOR, False)
        listener = socket.socket(fileno=FIRST_DESCRIPTOR)
    except OSError as error:
        raise RefusedError(
            f"what was handed over cannot be used: {error.strerror}", remedy=_REMEDY
        ) from error
    kind = (listener.family, listener.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE))
    listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if kind != (socket.AF_UNIX, socket.SOCK_STREAM) or not listens:
        listener.close()
        raise RefusedError("what was handed over is no listening unix socket", remedy=_REMEDY)
    return listener


def control_socket(path: Path, handed_over: socket.socket | None) -> ControlSocket:
    """The socket at ``path``: what was handed over, or one only its owner and group may use.

    Raises RefusedError.
    """
    if handed_over is not None:
        name = str(handed_over.getsockname())
        if os.path.realpath(name) != os.path.realpath(path):
            raise RefusedError(
                f"the socket that was handed over is {name}, and commands ask at {path}",
                remedy="let both be the same: ListenStream= in the socket unit, --root in the "
                "service's",
            )
        return ControlSocket(handed_over, path, handed_over=True)
    try:  # whatever is there: the lock file says that nobody serves on it
        return ControlSocket(bind_privately(path), path, handed_over=False)
    except OSError as error:
        raise RefusedError(
            f"{path} cannot be made: {error.strerror}",
            remedy="move away what is there, and start the daemon again",
        ) from error
