"""Addresses that no slot of any app has, for services that run beside both slots for a while."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections.abc import Collection, Iterator
from pathlib import Path

from bluegreen.config.settings import AppSettings, Service, SlotPorts, SlotSockets
from bluegreen.errors import MigrationError
from bluegreen.layout import LONGEST_SOCKET_PATH, AppLayout

LOWEST = 10_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def with_free_addresses(
    settings: AppSettings, layout: AppLayout, taken: Collection[int]
) -> AppSettings:
    """The same app, every address of which is another one, free, and the same in both slots.

    Each service of it has one instance, which proves as much as several would.
    ``taken`` are the ports that services of any app have: one that is cold may be started at any
    time. Blocking. Raises MigrationError where there is none.
    """
    ports = _free_ports(taken)
    return settings.model_copy(
        update={
            "services": {
                name: _moved(settings.name, service, layout, ports, number)
                for number, (name, service) in enumerate(settings.services.items())
            }
        }
    )


def _moved(
    app: str, service: Service, layout: AppLayout, ports: Iterator[int], number: int
) -> Service:
    if service.ports is not None:
        port = next(ports, None)
        if port is None:
            raise MigrationError(
                f"{app}: there is no free port for a rehearsal",
                remedy=f"see who has those from {LOWEST} on: ss -ltn",
            )
        ports_of_both = SlotPorts.model_construct(blue=port, green=port)
        return service.model_copy(update={"ports": ports_of_both, "instances": 1})
    if service.sockets is not None:
        path = str(layout.run / f"r{number}.sock")
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            raise MigrationError(
                f"{app}: {path} is too long for a socket",
                remedy="let the root have a shorter path, or give the services ports",
            )
        moved = SlotSockets.model_construct(blue=path, green=path)
        return service.model_copy(update={"sockets": moved, "instances": 1})
    return service.model_copy(update={"instances": 1})


def _free_ports(taken: Collection[int]) -> Iterator[int]:
    """Below those that the kernel gives to connections that go out, as one may keep a service
    from listening at the very moment at which it wants to."""
    end = _first_ephemeral()
    candidates = [port for port in range(LOWEST, end) if port not in taken]
    random.shuffle(candidates)
    return (port for port in candidates if _is_free(port))


def _first_ephemeral() -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        first = int(_EPHEMERAL.read_text().split()[0])
        if first > LOWEST:
            return first
    return 65536


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
