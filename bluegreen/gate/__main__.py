"""``python -m bluegreen.gate APPS DESCRIPTOR``: answer for the requests that nginx holds.

APPS is the directory of the apps, DESCRIPTOR the number of the inherited listening socket. Whoever
is told to end, or is killed, loses no request: nginx asks the next process on that socket again.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
from pathlib import Path

from bluegreen.gate.server import Gate


def main() -> None:
    apps, descriptor = sys.argv[1:]
    # A connection for each request that waits.
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    listener = socket.socket(fileno=int(descriptor))
    listener.setblocking(False)
    asyncio.run(Gate(Path(apps)).serve(listener))


main()
