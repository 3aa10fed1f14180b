"""Unix sockets that only their owner and group may use."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def bind_privately(path: Path, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A socket bound to ``path``, in the place of what was there. Raises OSError.

    Quick: the umask is the whole process's.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, kind)
    before = os.umask(0o117)
    try:
        listener.bind(os.fspath(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener
