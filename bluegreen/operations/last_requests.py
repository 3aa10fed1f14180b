"""When a slot that gets no new requests has begun with the last of those that it got.

A service that is told to end closes the connections on which it has read nothing, and those that
it has not accepted. What waits in such a way the kernel knows, of TCP; of unix sockets it does not
say it, and there time has to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from pathlib import Path

from bluegreen.model import Slot
from bluegreen.operations.runtime import LAST_REQUESTS, AppRuntime

PASSED_ON = 0.1  # seconds until nginx has passed on what it had let in
POLL = 0.01  # seconds

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED, _LISTEN = "01", "0A"  # include/net/tcp_states.h


async def all_read(app: AppRuntime, slot: Slot) -> None:
    """Return when the slot's services have read all that was sent to them.

    Or when one does not read for as long as it is given to stop.
    """
    services, view = app.settings.services.values(), app.view(slot)
    keys = app.unit_keys(slot, app.settings.services)
    found = [address for key in keys if (address := view.address(key)) is not None]
    ports = {address.port for address in found if address.port is not None}
    if any(address.port is None for address in found):
        await asyncio.sleep(LAST_REQUESTS)
    else:
        await asyncio.sleep(PASSED_ON)
    deadline = asyncio.get_running_loop().time() + max(one.stop_timeout for one in services)
    while await asyncio.to_thread(is_unread, ports):
        if asyncio.get_running_loop().time() >= deadline:
            return
        await asyncio.sleep(POLL)


def is_unread(ports: Collection[int]) -> bool:
    """Whether something waits to be accepted or read at one of our ports. Blocking, and quick."""
    return any(waiting for port, waiting in _queues() if port in ports)


def _queues() -> Iterator[tuple[int, int]]:
    """Local port, and the connections not accepted yet or the bytes not read (proc(5))."""
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except FileNotFoundError:  # of a kernel without IPv6
            continue
        for line in lines:
            _, local, _, state, queues = line.split(maxsplit=5)[:5]
            if state in (_ESTABLISHED, _LISTEN):
                yield int(local.rpartition(":")[2], 16), int(queues.partition(":")[2], 16)
