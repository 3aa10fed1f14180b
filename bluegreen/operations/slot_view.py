"""One slot's services, as its gate and whoever looks for strangers see them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.settings import AppSettings
from bluegreen.model import Address, Slot, UnitKey, UnitStatus
from bluegreen.supervisors.interface import Supervisor


@dataclass(frozen=True, kw_only=True)
class SlotView:
    """The services of a slot of the app that ``settings`` are of."""

    settings: AppSettings
    supervisor: Supervisor
    run_dir: Path  # where the services listen that have sockets
    slot: Slot

    def _key(self, service: str) -> UnitKey:
        return UnitKey(app=self.settings.name, slot=self.slot, service=service)

    def status(self, service: str) -> UnitStatus:
        return self.supervisor.status(self._key(service))

    async def processes(self, service: str) -> frozenset[int]:
        return await self.supervisor.processes(self._key(service))

    async def control_groups(self, service: str) -> frozenset[int]:
        return await self.supervisor.control_groups(self._key(service))

    async def log_tail(self, service: str, lines: int) -> list[str]:
        return await self.supervisor.log_tail(self._key(service), lines)

    def address(self, service: str) -> Address | None:
        return self.settings.services[service].address(self.slot, self.run_dir)
