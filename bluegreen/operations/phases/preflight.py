"""Preflight: what can be found out before anything is touched."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from typing import Any

from bluegreen.config.environment_files import unusable_files
from bluegreen.config.settings import Service
from bluegreen.errors import PreflightError
from bluegreen.health.ownership import examine
from bluegreen.model import OperationKind, PhaseName, Slot
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime, SlotView
from bluegreen.requirements.candidate import Candidate
from bluegreen.requirements.commands import unmet_commands
from bluegreen.requirements.resources import unmet_memory, unmet_room
from bluegreen.requirements.upgrade import Upgrade
from bluegreen.requirements.variables import new_defaults, unmet_variables

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
    """What the release needs of its host and its predecessor; all that is missing, at once."""

    name = PhaseName.PREFLIGHT
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        return LIMIT

    def intent(self, run: Run) -> dict[str, Any]:
        return {"slot": run.target}

    async def act(self, run: Run) -> dict[str, Any]:
        app, candidate = run.app, _candidate(run)
        upgrade = _upgrade(run)
        free = (await asyncio.to_thread(shutil.disk_usage, app.parts.layout.state)).free
        needed = await app.trees.bytes_needed()
        looks = await asyncio.gather(
            self._ports(run),
            self._files(app),
            unmet_commands(candidate),
            asyncio.to_thread(unmet_variables, candidate),
            asyncio.to_thread(unmet_memory, app.name, app.settings.requires.memory),
            return_exceptions=True,  # all have come to their end before any of them counts
        )
        found = unmet_room(
            app.name, app.parts.layout.state,
            free=free, needed=needed, kept=app.settings.requires.free_disk or 0,
        )  # fmt: skip
        for look in looks:
            if isinstance(look, BaseException):
                raise look
            found += look
        if upgrade is not None:
            found += upgrade.unmet()
        if found:
            raise _all_of(found, run)
        data = {"free_bytes": free, "needed_bytes": needed}
        return data if upgrade is None else data | await _announce(run, candidate, upgrade)

    async def _ports(self, run: Run) -> list[PreflightError]:
        found = await strangers(run.app, run.target)
        if not found:
            return []
        return [
            PreflightError(
                f"{run.app.name}: ports of the {run.target} slot are in use by strangers",
                detail=found,
                remedy="end the process that is named, or give the service another port in the "
                "app file; the active slot was not touched",
            )
        ]

    async def _files(self, app: AppRuntime) -> list[PreflightError]:
        if app.layout.has_own_user:
            return []  # not for the daemon to read: systemd says it as it starts a unit
        unusable = await asyncio.to_thread(unusable_files, app.settings)
        if not unusable:
            return []
        return [
            PreflightError(
                f"{app.name}: files that its environment comes from cannot be used",
                detail=unusable,
                remedy="put them there, readable for the user that runs the daemon, or correct "
                "the app file; the active slot was not touched",
            )
        ]

    async def undo(self, run: Run) -> bool:
        return True


def _candidate(run: Run) -> Candidate:
    app = run.app
    return Candidate(
        settings=app.settings, layout=app.layout, slot=run.target,
        version=run.operation.version or "", tree=app.trees.path(run.operation.id, run.target),
        operation=run.operation.id, logs=run.logs, jobs=app.parts.supervisor,
        remedies=app.parts.layout.remedies,
    )  # fmt: skip


def _upgrade(run: Run) -> Upgrade | None:
    """What a deploy means for ``[[upgrade]]`` and ``upgrade_from``; None for a way back."""
    if run.operation.kind is not OperationKind.DEPLOY:
        return None
    return Upgrade(
        settings=run.app.settings,
        active=None if run.origin is None else run.app.slots[run.origin].version,
        version=run.operation.version or "",
        acknowledged=run.operation.acknowledged,
    )


async def _announce(run: Run, candidate: Candidate, upgrade: Upgrade) -> dict[str, Any]:
    """Show what the upgrade brings; returns what is recorded of it."""
    by = run.operation.requested_by.name
    for rule in upgrade.crossed:
        said = "" if rule.breaking is None else f": {rule.breaking} (acknowledged by {by})"
        await run.note("output", message=f"upgrade rule {rule.span}{said}")
    if upgrade.perhaps_crossed or (run.app.settings.upgrade and upgrade.is_unversioned):
        await run.note(
            "warning",
            message=f"{candidate.version} over {upgrade.active or 'nothing'}: one of them has no "
            "version, so that [[upgrade]] rules are not applied",
        )
    for text in upgrade.idle_acknowledgements:
        await run.note("warning", message=f'--ack "{text}": nothing in this deploy asks for that')
    for line in await asyncio.to_thread(new_defaults, candidate, upgrade.active):
        await run.note("output", message=line)
    return {
        "crossed": [rule.span for rule in upgrade.crossed],
        "acknowledged": upgrade.acknowledgements,
    }


def _all_of(found: Sequence[PreflightError], run: Run) -> PreflightError:
    """One error for all of ``found``, each with its remedy."""
    if len(found) == 1:
        return found[0]
    lines = []
    for number, error in enumerate(found, start=1):
        lines.append(f"{number}. {error.message.removeprefix(f'{run.app.name}: ')}")
        lines += [f"   {line}" for line in error.detail]
        lines.append(f"   remedy: {error.remedy}")
    return PreflightError(
        f"{run.app.name}: {len(found)} things keep {run.operation.version} from being released",
        detail=lines,
        remedy="see to each of them, as it says, and try again; nothing was touched",
    )
