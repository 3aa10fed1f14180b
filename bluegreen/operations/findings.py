"""What is in the way of a release on this host, seen without touching anything."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from bluegreen.config.environment_files import unusable_files
from bluegreen.errors import (
    BluegreenError,
    DataError,
    PreflightError,
    RefusedError,
    TrafficError,
)
from bluegreen.health.ownership import LOOK_TIMEOUT, examine
from bluegreen.instances import instance_name, unit_keys
from bluegreen.invariants.comparison import problem
from bluegreen.invariants.measuring import Survey
from bluegreen.model import OperationKind, PhaseName, Slot, UnitKey
from bluegreen.operations.of_data import bytes_for_data, data_phases
from bluegreen.operations.runtime import AppRuntime
from bluegreen.requirements.backup_programs import unmet_backup
from bluegreen.requirements.candidate import Candidate
from bluegreen.requirements.commands import unmet_commands
from bluegreen.requirements.copies import unmet_copies
from bluegreen.requirements.resources import unmet_memory, unmet_room
from bluegreen.requirements.variables import unmet_variables

NGINX_LIMIT = 5.0  # seconds for an nginx that is being started again


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that was found, each with its remedy, and what the disk has and has to have (bytes)."""

    found: list[PreflightError]
    free: int
    needed: int


async def look(
    app: AppRuntime, candidate: Candidate, kind: OperationKind, *, restores: bool = False
) -> Findings:
    """Look at all that a release needs of its host, at once; ``restores``: a backup's data, too."""
    free = (await asyncio.to_thread(shutil.disk_usage, app.parts.layout.state)).free
    for_data, found = await _room_for_data(app, kind, candidate.version)
    needed = await app.trees.bytes_needed() + for_data
    looks = await asyncio.gather(
        _ports(app, candidate.slot),
        _files(app),
        _nginx(app),
        unmet_commands(candidate),
        _backup(app, candidate, kind, restores=restores),
        _copies(app, candidate, kind),
        *([] if restores else [_invariants(app, candidate)]),
        asyncio.to_thread(unmet_variables, candidate),
        asyncio.to_thread(unmet_memory, app.name, app.settings.requires.memory),
        return_exceptions=True,  # all have come to their end before any of them counts
    )
    found += unmet_room(
        app.name, app.parts.layout.state,
        free=free, needed=needed, for_data=for_data, kept=app.settings.requires.free_disk or 0,
    )  # fmt: skip
    for one in looks:
        if isinstance(one, BaseException):
            raise one
        found += one
    found += _hold(app, kind)
    return Findings(found=found, free=free, needed=needed)


def all_of(found: Sequence[PreflightError], app: str, kept: str) -> PreflightError:
    """One error for all of ``found``, each with its remedy; ``kept``: what from being done."""
    if len(found) == 1:
        return found[0]
    lines = []
    for number, error in enumerate(found, start=1):
        lines.append(f"{number}. {error.message.removeprefix(f'{app}: ')}")
        lines += [f"   {line}" for line in error.detail]
        lines.append(f"   remedy: {error.remedy}")
    return PreflightError(
        f"{app}: {len(found)} things keep {kept}",
        detail=lines,
        remedy="see to each of them, as it says, and try again; nothing was touched",
    )


async def _room_for_data(
    app: AppRuntime, kind: OperationKind, version: str
) -> tuple[int, list[PreflightError]]:
    """Bytes; or why they are not known, for which nothing could be backed up either."""
    try:
        return await bytes_for_data(app, kind, version), []
    except DataError as error:
        return 0, [PreflightError(error.message, detail=error.detail, remedy=error.remedy)]


async def strangers(app: AppRuntime, slot: Slot) -> list[str]:
    """A line for each address of the slot that somebody else listens on.

    Raises PreflightError where that cannot be told in time.
    """
    view = app.view(slot)
    # Of what will be started; what runs there may be more, or less.
    will = {name: service.instances for name, service in app.settings.services.items()}

    async def see(key: UnitKey) -> str | None:
        address = view.address(key)
        if address is None:
            return None
        try:
            ownership = await examine(view, key, address)
        except TimeoutError as error:
            raise PreflightError(
                f"{app.name}: it could not be told within {LOOK_TIMEOUT:g} s who listens on "
                f"{address}",
                remedy="look what keeps the host so busy, and try again; the active slot was not "
                "touched",
            ) from error
        if not ownership.stranger:
            return None
        name = instance_name(key, will[key.service])
        return f"{name} needs {address} in {slot}: {ownership.problem}"

    seen = [see(key) for key in unit_keys(app.name, slot, will)]
    return [found for found in await asyncio.gather(*seen) if found is not None]


async def _ports(app: AppRuntime, slot: Slot) -> list[PreflightError]:
    try:
        found = await strangers(app, slot)
    except PreflightError as error:
        return [error]
    if not found:
        return []
    return [
        PreflightError(
            f"{app.name}: ports of the {slot} slot are in use by strangers",
            detail=found,
            remedy="end the process that is named, or give the service another port in the "
            "app file; the active slot was not touched",
        )
    ]


async def _files(app: AppRuntime) -> list[PreflightError]:
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


async def _nginx(app: AppRuntime) -> list[PreflightError]:
    """Whether the switch could be made: else the build and the gate are for nothing."""
    try:
        await app.parts.traffic.expect_nginx(app.name, within=NGINX_LIMIT)
    except TrafficError as error:
        return [
            PreflightError(
                f"{app.name}: the traffic could not be switched: {error.message}",
                detail=error.detail,
                remedy=error.remedy,
            )
        ]
    return []


async def _backup(
    app: AppRuntime, candidate: Candidate, kind: OperationKind, *, restores: bool
) -> list[PreflightError]:
    """Whether a backup could be made, where one will be."""
    backs_up = PhaseName.BACKUP in data_phases(kind, candidate.version, app.settings)
    first = app.active is None and app.settings.migrations is None
    if not restores and (first or not backs_up):
        return []
    log = candidate.logs / "preflight-backup.log"
    return await unmet_backup(app.backups, f"{candidate.operation}-programs", log)


async def _copies(
    app: AppRuntime, candidate: Candidate, kind: OperationKind
) -> list[PreflightError]:
    """Whether the data could be copied, where migrations are rehearsed."""
    migrations, phases = app.settings.migrations, data_phases(kind, candidate.version, app.settings)
    if migrations is None or not migrations.rehearses:
        return []
    if not phases & {PhaseName.REHEARSE, PhaseName.REVERSE}:
        return []
    log = candidate.logs / "preflight-copies.log"
    return await unmet_copies(app.backups, f"{candidate.operation}-copies", log)


async def _invariants(app: AppRuntime, candidate: Candidate) -> list[PreflightError]:
    """Whether databases can be asked what is to stay unchanged; commands need the release."""
    asked = [one for one in app.settings.gate.unchanged if one.command is None]
    held = None if app.active is None else app.slots[app.active]
    if not asked or held is None or held.tree is None:
        return []
    survey = Survey(
        settings=app.settings, layout=app.layout, jobs=app.parts.supervisor, slot=held.slot,
        version=held.version or "", tree=held.tree, operation=candidate.operation,
    )  # fmt: skip
    try:
        answers = await survey.ask(asked, candidate.logs / "preflight-unchanged.log")
    except BluegreenError as error:
        return [PreflightError(error.message, detail=error.detail, remedy=error.remedy)]
    pairs = zip(asked, answers, strict=True)
    found = [f"{one.label}: {why}" for one, answer in pairs if (why := problem(one, answer))]
    if not found:
        return []
    said = f"bluegreen logs {app.name} {candidate.operation} --phase preflight"
    return [
        PreflightError(
            f"{app.name}: what is to stay unchanged cannot be asked",
            detail=found,
            remedy=("" if candidate.operation == 0 else f"see what was said: {said}; ")
            + "correct [[gate.unchanged]] of the app file, or see to the database",
        )
    ]


def _hold(app: AppRuntime, kind: OperationKind) -> list[PreflightError]:
    """Whether requests could be held, where one version may have to end before the other begins."""
    section = app.settings.migrations
    schema = section is not None and section.mode == "hold" and kind is not OperationKind.RESTART
    if app.active is None or (app.settings.app.overlap and not schema):
        return []
    try:
        app.parts.traffic.require_holdable(app.settings)
    except RefusedError as error:
        return [PreflightError(error.message, remedy=error.remedy)]
    return []
