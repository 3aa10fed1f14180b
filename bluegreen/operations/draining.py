"""What is still under way at a slot that has no traffic, before its services are stopped.

WebSockets, downloads and long requests stay where they began. nginx lets go of a connection on
which nothing is under way within a second (``nginx/parts/upstreams.j2``), so that what is there
after that is in use. Of a connection that others hold nobody can tell whether it is, and it counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from bluegreen.errors import BluegreenError
from bluegreen.health.connection import End
from bluegreen.health.sockets import clients_of, sockets_of
from bluegreen.model import Slot, UnitState
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime
from bluegreen.words import counted

log = logging.getLogger(__name__)

LOOK_TIMEOUT = 5.0  # seconds
POLL = 0.1  # seconds between two looks, at least
LONGEST_POLL = 1.0
REST = 10  # times as long as a look took: a busy host has many connections
UNUSED = 1.5  # seconds after which nginx has let go of what is not in use


class UnseenError(Exception):
    """Nobody can say what is under way; ``str`` says why."""


async def connections(app: AppRuntime, slot: Slot) -> int:
    """How many are established to the slot's services, but for their own to each other and ours.

    Within a second of a request one may be counted that nginx keeps for the next.

    Raises UnseenError.
    """
    services, run = app.settings.services, app.layout.run
    each = (
        services[key.service].address(slot, run, key.instance)
        for key in app.unit_keys(slot, app.services(slot))
    )
    found = [address for address in each if address is not None]
    try:
        async with asyncio.timeout(LOOK_TIMEOUT):
            clients = await asyncio.to_thread(clients_of, found)
            if not clients:
                return 0
            groups, pids = await _own(app, slot)
            return await asyncio.to_thread(_others, clients, groups, pids)
    except (BluegreenError, OSError) as error:
        why = error.message if isinstance(error, BluegreenError) else error.strerror
        raise UnseenError(why or f"no answer within {LOOK_TIMEOUT:g} s") from error


async def _own(app: AppRuntime, slot: Slot) -> tuple[set[int], set[int]]:
    """The control groups of the slot's services; where they have none, their processes."""
    supervisor = app.parts.supervisor
    groups, pids = set[int](), set[int]()
    for key in app.keys(slot):
        if supervisor.status(key).state is UnitState.STOPPED:
            continue
        own = await supervisor.control_groups(key)
        groups |= own
        if not own:
            pids |= await supervisor.processes(key)
    return groups, pids


def _others(clients: Iterable[End | None], groups: Collection[int], pids: Collection[int]) -> int:
    """How many of ``clients`` are neither of these processes nor of ours. Blocking."""
    own = sockets_of(os.getpid())
    for pid in pids:
        with contextlib.suppress(PermissionError):  # it runs as somebody else: it counts
            own |= sockets_of(pid)
    return sum(
        client is None or (client.inode not in own and client.control_group not in groups)
        for client in clients
    )


async def let_end(
    app: AppRuntime,
    slots: Iterable[Slot],
    *,
    on_wait: Callable[[str], Awaitable[None]],
) -> Mapping[Slot, int]:
    """Return once nothing is under way at ``slots``, or ``drain_timeout`` is over: what is then.

    Whoever calls it stops them next, and those connections end with them. Nothing is touched
    before it returns, so that it may be cancelled at any moment. ``on_wait`` is told, once, what
    is waited for, in words. Raises UnseenError where that cannot be seen to begin with; later a
    look that fails, as while systemd reads all units anew, says what the one before has said.
    """
    clock, limit = asyncio.get_running_loop().time, app.settings.keep.drain_timeout
    if not limit:
        return {}
    slots, began, told = tuple(slots), clock(), False
    counts: dict[Slot, int] = {}
    unseen: str | None = None
    while True:
        looked = clock()
        try:
            found = {slot: await connections(app, slot) for slot in slots}
            counts, unseen = {slot: count for slot, count in found.items() if count}, None
        except UnseenError as error:
            if not counts:
                raise
            if str(error) != unseen:
                unseen = str(error)
                log.warning(
                    "%s: what is under way cannot be seen, and is waited for on: %s",
                    app.name, unseen, extra={"app": app.name},
                )  # fmt: skip
        left = began + limit - clock()
        if not counts or left <= 0:
            return counts
        if not told and clock() - began >= UNUSED:
            told = True
            await on_wait(f"{in_words(counts)} to end, for {left:.0f} s more at the most")
        await asyncio.sleep(min(max(POLL, REST * (clock() - looked)), LONGEST_POLL, left))


async def let_end_for(run: Run, *slots: Slot) -> dict[str, Any]:
    """The same for an operation, which says it; what is recorded of it."""

    async def waits(what: str) -> None:
        run.waiting_for = what
        await run.say(f"waiting for {what}")

    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        cut = await let_end(run.app, slots, on_wait=waits)
    except UnseenError as error:
        await run.say(f"what is under way cannot be seen, and is not waited for: {error}")
        return {}
    finally:
        waited, run.waiting_for = run.waiting_for is not None, None
    if cut:
        await run.say(cut_in_words(run.app, cut))
    elif waited:
        await run.say(f"nothing is under way any more, after {clock() - began:.1f} s")
    return {"cut": sum(cut.values())} if cut else {}


def in_words(counts: Mapping[Slot, int]) -> str:
    """``2 connections to blue and 1 to green``."""
    first, *others = counts.items()
    said = f"{counted(first[1], 'connection')} to {first[0]}"
    return " and ".join([said, *(f"{count} to {slot}" for slot, count in others)])


def cut_in_words(app: AppRuntime, counts: Mapping[Slot, int]) -> str:
    """What of `let_end` ends with the slot's services."""
    limit = app.settings.keep.drain_timeout
    return f"{in_words(counts)} still open after {limit:g} s (drain_timeout): cut"
