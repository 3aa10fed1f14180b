"""``python -m bluegreen.gate APPS DESCRIPTOR…``: answer for the requests that nginx holds.

APPS is the directory of the apps, each DESCRIPTOR the number of an inherited listening socket. Told
to end, or killed, it loses no request: nginx asks the next process on these sockets again.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
from pathlib import Path

from bluegreen.gate.server import Gate


def main() -> None:
    apps, *descriptors = sys.argv[1:]
    # A connection for each request that waits.
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    listeners = [socket.socket(fileno=int(descriptor)) for descriptor in descriptors]
    for listener in listeners:
        listener.setblocking(False)
    asyncio.run(Gate(Path(apps)).serve(listeners))


main()
