"""Which ports the slots get: today's for blue, a hundred further on for green."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bluegreen.config.settings import MOST_INSTANCES, SlotPorts
from bluegreen.survey.directory import read_text

FIRST = 8000
APART = 100
LAST = 65535


class HostPorts:
    """The ports that are spoken for. What is given is spoken for from then on."""

    def __init__(self, claimed: Iterable[int]) -> None:
        self._claimed = set(claimed)

    def for_slots(self, wanted: int | None) -> SlotPorts:
        """Two free ports; blue is ``wanted`` unless another app has claimed it."""
        start = FIRST if wanted is None else wanted
        steps = [1, APART] if wanted is None else [APART, 1]
        blue = self._take(start, *steps)
        green = self._take(blue + APART, APART, 1)
        return SlotPorts(blue=blue, green=green)

    def taken(self, ports: Iterable[int]) -> None:
        """Others have them."""
        self._claimed.update(ports)

    def for_nginx(self, wanted: int) -> int:
        """``wanted``, or the next that nobody has."""
        return self._take(wanted, 1)

    def _take(self, start: int, *steps: int) -> int:
        ranges = [range(start, LAST + 1, step) for step in steps] + [range(FIRST, LAST + 1)]
        free = next(port for ports in ranges for port in ports if port not in self._claimed)
        self._claimed.add(free)
        return free


def claimed_by_others(app_files: Path, app: str, unread: list[str]) -> set[int]:
    """Every port in the files of other apps, also in those that are not valid."""
    claimed: set[int] = set()
    for file in sorted(app_files.glob("*.toml")):
        if file.stem == app:
            continue
        try:
            data = tomllib.loads(read_text(file, str(file), unread) or "")
        except (ValueError, RecursionError):
            unread.append(f"{file}: not TOML, so its ports are not known")
            continue
        claimed.update(_ports(data))
    return claimed


def _ports(data: dict[str, Any]) -> Iterator[int]:
    services = data.get("services")
    for service in services.values() if isinstance(services, dict) else ():
        ports = service.get("ports") if isinstance(service, dict) else None
        if isinstance(ports, dict):
            number = service.get("instances", 1)
            more = min(number, MOST_INSTANCES) if isinstance(number, int) else 1
            for first in ports.values():
                if isinstance(first, int):
                    yield from range(first, first + more)
    nginx = data.get("nginx")
    listens = nginx.get("listen") if isinstance(nginx, dict) else None
    for listen in listens if isinstance(listens, list) else ():
        port = str(listen).rpartition(":")[2]
        if port.isdecimal():
            yield int(port)
