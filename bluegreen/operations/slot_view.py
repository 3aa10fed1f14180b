"""One slot's services, as its gate and whoever looks for strangers see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.settings import AppSettings
from bluegreen.instances import unit_keys
from bluegreen.model import Address, Slot, UnitKey, UnitStatus
from bluegreen.supervisors.interface import Supervisor


@dataclass(frozen=True, kw_only=True)
class SlotView:
    """The services of a slot of the app that ``settings`` are of."""

    settings: AppSettings
    supervisor: Supervisor
    run_dir: Path  # where the services listen that have sockets
    slot: Slot
    instances: Callable[[str], int]  # of each service

    def keys(self, service: str) -> list[UnitKey]:
        return unit_keys(self.settings.name, self.slot, {service: self.instances(service)})

    def status(self, key: UnitKey) -> UnitStatus:
        return self.supervisor.status(key)

    async def processes(self, key: UnitKey) -> frozenset[int]:
        return await self.supervisor.processes(key)

    async def control_groups(self, key: UnitKey) -> frozenset[int]:
        return await self.supervisor.control_groups(key)

    async def log_tail(self, key: UnitKey, lines: int) -> list[str]:
        return await self.supervisor.log_tail(key, lines)

    def address(self, key: UnitKey) -> Address | None:
        service = self.settings.services[key.service]
        return service.address(self.slot, self.run_dir, key.instance)
