"""What is probed: one slot of one app, seen through whoever runs its processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bluegreen.config.environment import ProcessEnvironment
from bluegreen.config.placeholders import own_address
from bluegreen.health.entrance import Entrance
from bluegreen.instances import instance_name
from bluegreen.model import Address, Slot, UnitKey, UnitStatus
from bluegreen.supervisors.interface import JobRunner


class ServiceView(Protocol):
    """The services of one slot, and the instances that they were started with."""

    def keys(self, service: str) -> Sequence[UnitKey]:
        """Its instances, the first one first."""
        ...

    def status(self, key: UnitKey) -> UnitStatus:
        """What its supervisor knows of it now, from memory."""
        ...

    async def processes(self, key: UnitKey) -> frozenset[int]:
        """The PIDs of its live processes."""
        ...

    async def control_groups(self, key: UnitKey) -> frozenset[int]:
        """The kernel's IDs of the control groups that hold only it; empty where it has none."""
        ...

    async def log_tail(self, key: UnitKey, lines: int) -> list[str]:
        """The last ``lines`` lines of its log."""
        ...

    def address(self, key: UnitKey) -> Address | None:
        """Where it listens; None for a worker."""
        ...


@dataclass(frozen=True, kw_only=True)
class Target:
    """A release in a slot, with all that a probe of it needs.

    ``values`` are the placeholders and ``environment`` what the processes of each service get, of
    its first instance.
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

    def keys(self, services: Iterable[str]) -> list[UnitKey]:
        """The instances of ``services``."""
        return [key for service in services for key in self.view.keys(service)]

    def name(self, key: UnitKey) -> str:
        """``api``, or ``api 2`` of a service with several instances."""
        return instance_name(key, len(self.view.keys(key.service)))

    def values_of(self, key: UnitKey) -> Mapping[str, str]:
        """The placeholders of an instance."""
        values = self.values[key.service]
        if key.instance == 1:
            return values
        own = own_address(self.view.address(key))
        return {**values, **own, "instance": str(key.instance)}
