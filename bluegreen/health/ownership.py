"""Whose socket answers: a probe counts only when it reached a process of the slot it is about.

Without this, a port still held by the other slot's process answers in place of a new process that
could not bind it, and the gate passes.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.health.listener import Listener
from bluegreen.health.sockets import (
    bound_to,
    holder,
    named,
    peer_pid,
    sockets_of,
    tcp_listeners,
    unix_listeners,
)
from bluegreen.health.target import ServiceView
from bluegreen.health.tcp_probe import connect_status
from bluegreen.instances import instance_name
from bluegreen.model import Address, UnitKey

LOOK_TIMEOUT = 5.0  # seconds
SHOWN_LISTENERS = 3  # of a service that listens elsewhere


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """Who listens at an address. ``problem`` is None when it is the service and nobody else."""

    sockets: frozenset[int]  # inodes
    problem: str | None = None
    stranger: bool = False


async def examine(view: ServiceView, key: UnitKey, address: Address) -> Ownership:
    """Whether exactly the processes of the instance listen at ``address``.

    Raises TimeoutError after 5 s, and what ``view.processes`` raises.
    """
    service = instance_name(key, len(view.keys(key.service)))
    async with asyncio.timeout(LOOK_TIMEOUT):
        groups = await view.control_groups(key)
        pids = await view.processes(key)
        found = await asyncio.to_thread(_examine, service, address, pids, groups)
        if found.stranger:
            # A process that was forked, and listens, since the PIDs were listed is no stranger.
            pids = await view.processes(key)
            found = await asyncio.to_thread(_examine, service, address, pids, groups)
        return found


async def still(found: Ownership, address: Address) -> bool:
    """Whether the same sockets as before listen at ``address``. Raises TimeoutError after 5 s."""
    async with asyncio.timeout(LOOK_TIMEOUT):
        listeners = await asyncio.to_thread(_listeners, address)
    return frozenset(listener.inode for listener in listeners) == found.sockets


async def listening(address: Address) -> bool:
    """Whether ``address`` is taken. A socket file that nobody listens at any more is free.

    Raises TimeoutError after 5 s, and OSError for a path too long for a unix socket.
    """
    if address.socket is not None:
        return connect_status(address.socket) not in (errno.ENOENT, errno.ECONNREFUSED)
    async with asyncio.timeout(LOOK_TIMEOUT):
        return bool(await asyncio.to_thread(_listeners, address))


def _listeners(address: Address) -> list[Listener]:
    listeners = tcp_listeners() if address.socket is None else unix_listeners()
    return [listener for listener in listeners if _is_at(listener, address)]


def _is_at(listener: Listener, address: Address) -> bool:
    if address.socket is not None:
        return bound_to(listener, address.socket)
    return listener.port == address.port and listener.answers_loopback


def _examine(
    service: str, address: Address, pids: frozenset[int], groups: frozenset[int]
) -> Ownership:
    listeners = _listeners(address)
    sockets = frozenset(listener.inode for listener in listeners)
    try:
        is_own = _by_group(groups) if groups else _by_descriptors(pids)
    except PermissionError as error:
        problem = f"cannot tell whose socket {address} is: {error.filename} may not be read"
        return Ownership(sockets=sockets, problem=problem)
    if not listeners:
        return Ownership(sockets=sockets, problem=_absence(service, address, is_own))
    # Of a unix socket the kernel tells no group.
    if address.socket is not None and (groups or len(listeners) > 1):
        return _at_path(service, address.socket, sockets, pids)
    strangers = [listener for listener in listeners if not is_own(listener)]
    if not strangers:
        return Ownership(sockets=sockets)
    who = holder(strangers, besides=pids)
    if len(strangers) == len(listeners):
        problem = f"{address} belongs to {who}, which is no process of {service}"
    else:
        problem = f"{who}, which is no process of {service}, listens on {address} as well"
    return Ownership(sockets=sockets, problem=problem, stranger=True)


def _by_descriptors(pids: frozenset[int]) -> Callable[[Listener], bool]:
    """Which listeners are held by ``pids``. Raises PermissionError for another user's processes."""
    own = frozenset[int]().union(*(sockets_of(pid) for pid in pids))
    return lambda listener: listener.inode in own


def _by_group(groups: frozenset[int]) -> Callable[[Listener], bool]:
    """Which were made in one of ``groups``: what is known of another user's processes, too."""
    return lambda listener: listener.control_group in groups


def _at_path(service: str, path: Path, sockets: frozenset[int], pids: frozenset[int]) -> Ownership:
    """Of several sockets bound to one path in turn, only the last is reached: ask it."""
    pid = peer_pid(path)
    if pid in pids:
        return Ownership(sockets=sockets)
    if pid is None:
        return Ownership(sockets=sockets, problem="connection refused")
    problem = f"unix:{path} belongs to {named(pid)}, which is no process of {service}"
    return Ownership(sockets=sockets, problem=problem, stranger=True)


def _absence(service: str, address: Address, is_own: Callable[[Listener], bool]) -> str:
    """Nobody listens at ``address``: perhaps the service listens elsewhere."""
    elsewhere = [listener for listener in (*tcp_listeners(), *unix_listeners()) if is_own(listener)]
    if any(_is_at(listener, address) for listener in elsewhere):
        return "connection refused"  # it has only begun to listen since we looked
    unreachable = [listener for listener in elsewhere if listener.port == address.port]
    if address.port is not None and unreachable:
        return f"{service} listens on {_places(unreachable)} only, not on {address}"
    if not elsewhere:
        return "connection refused"
    if address.port is not None:
        return (
            f"{service} listens on {_places(elsewhere)}, not on {address.port}: its port must be "
            "settable (use {port} in its command or env); where it is not, a network namespace or "
            "a wrapper command is the way"
        )
    return (
        f"{service} listens on {_places(elsewhere)}, not on {address}: "
        "use {socket} in its command or env"
    )


def _places(listeners: Sequence[Listener]) -> str:
    """``9083``, or ``unix:/run/x.sock``: where, without repeating a port."""
    places = [
        str(listener.port) if listener.answers_loopback else str(listener) for listener in listeners
    ]
    return " and ".join(list(dict.fromkeys(places))[:SHOWN_LISTENERS])
