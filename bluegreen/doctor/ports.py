"""Who listens on a port of this host, and in which unit. Needs root to see others' processes."""

from __future__ import annotations

import contextlib
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


def holders(port: int) -> list[Holder]:
    """Of a TCP port. Blocking; what has ended meanwhile is left out."""
    pids = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr
        and connection.laddr.port == port
        and connection.pid
    }
    found = []
    for pid in sorted(pids):
        with contextlib.suppress(psutil.Error, OSError):
            group = Path(f"/proc/{pid}/cgroup").read_text().strip()
            found.append(Holder(pid, psutil.Process(pid).name(), group))
    return found
