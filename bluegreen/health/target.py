"""What is probed: one slot of one app, seen through whoever runs its processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bluegreen.config.environment import ProcessEnvironment
from bluegreen.health.entrance import Entrance
from bluegreen.model import Address, Slot, UnitStatus
from bluegreen.supervisors.interface import JobRunner


class ServiceView(Protocol):
    """The services of one slot."""

    def status(self, service: str) -> UnitStatus:
        """What its supervisor knows of it now, from memory."""
        ...

    async def processes(self, service: str) -> frozenset[int]:
        """The PIDs of its live processes."""
        ...

    async def control_groups(self, service: str) -> frozenset[int]:
        """The kernel's IDs of the control groups that hold only it; empty where it has none."""
        ...

    async def log_tail(self, service: str, lines: int) -> list[str]:
        """The last ``lines`` lines of its log."""
        ...

    def address(self, service: str) -> Address | None:
        """Where it listens; None for a worker."""
        ...


@dataclass(frozen=True, kw_only=True)
class Target:
    """A release in a slot, with all that a probe of it needs.

    ``values`` are the placeholders and ``environment`` what the processes of each service get.
    Command probes run in ``tree`` through ``jobs`` and leave their output in ``logs``, in files
    whose names begin with ``phase``.
    """

    app: str
    slot: Slot
    version: str
    services: tuple[str, ...]
    view: ServiceView
    values: Mapping[str, Mapping[str, str]]
    tree: Path
    environment: Mapping[str, ProcessEnvironment]
    jobs: JobRunner
    logs: Path
    phase: str = "gate"
    entrance: Entrance | None = None  # None: each service is asked itself
