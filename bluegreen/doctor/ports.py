"""Who listens on the ports of this host, and in which unit. Needs root to see others' processes."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Holder:
    """A process."""

    pid: int
    name: str
    group: str  # its control group, which ends in the name of its unit

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"

    def is_in(self, unit: str) -> bool:
        return f"/{unit}" in self.group


def holders() -> Mapping[int, Sequence[Holder]]:
    """By TCP port. Blocking; what has ended meanwhile is left out.

    All at once: one look takes as long as every process of the host has open files.
    """
    listening = {
        (connection.laddr.port, connection.pid)
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.pid
    }
    found: defaultdict[int, list[Holder]] = defaultdict(list)
    for port, pid in sorted(listening):
        with contextlib.suppress(psutil.Error, OSError):
            group = Path(f"/proc/{pid}/cgroup").read_text().strip()
            found[port].append(Holder(pid, psutil.Process(pid).name(), group))
    return found
