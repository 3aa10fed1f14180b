"""Preflight: what can be found out before anything is touched."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

from bluegreen.config.environment_files import unusable_files
from bluegreen.config.settings import Service
from bluegreen.errors import PreflightError
from bluegreen.health.ownership import examine
from bluegreen.model import PhaseName, Slot
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime, SlotView

LIMIT = 60.0  # seconds


async def strangers(app: AppRuntime, slot: Slot) -> list[str]:
    """A line for each address of the slot that somebody else listens on."""

    async def look(name: str, service: Service) -> str | None:
        address = service.address(slot, app.layout.run)
        if address is None:
            return None
        ownership = await examine(SlotView(app, slot), name, address)
        if not ownership.stranger:
            return None
        return f"{name} needs {address} in {slot}: {ownership.problem}"

    looks = [look(name, service) for name, service in app.settings.services.items()]
    return [found for found in await asyncio.gather(*looks) if found is not None]


class Preflight:
    """Ports of the idle slot, the files of its environment, and room on the disk."""

    name = PhaseName.PREFLIGHT
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        return LIMIT

    def intent(self, run: Run) -> dict[str, Any]:
        return {"slot": run.target}

    async def act(self, run: Run) -> dict[str, Any]:
        app = run.app
        found = await strangers(app, run.target)
        if found:
            raise PreflightError(
                f"{app.name}: ports of the {run.target} slot are in use by strangers",
                detail=found,
                remedy="end the process that is named, or give the service another port in the "
                "app file; the active slot was not touched",
            )
        if unusable := await self._unusable_files(app):
            raise PreflightError(
                f"{app.name}: files that its environment comes from cannot be used",
                detail=unusable,
                remedy="put them there, readable for the user that runs the daemon, or correct "
                "the app file; the active slot was not touched",
            )
        needed = await app.trees.bytes_needed()
        free = (await asyncio.to_thread(shutil.disk_usage, app.parts.layout.state)).free
        if free < needed:
            raise PreflightError(
                f"{app.name}: a release needs about {needed // 2**20} MiB, and "
                f"{free // 2**20} MiB are free on {app.parts.layout.state}",
                remedy="free some space there; nothing was changed",
            )
        return {"free_bytes": free, "needed_bytes": needed}

    async def _unusable_files(self, app: AppRuntime) -> list[str]:
        if app.layout.has_own_user:
            return []  # not for the daemon to read: systemd says it as it starts a unit
        return await asyncio.to_thread(unusable_files, app.settings)

    async def undo(self, run: Run) -> bool:
        return True
