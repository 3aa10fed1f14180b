"""A release's services, run on a copy of the data for a while, beside both slots.

They run as jobs: nothing starts them again, they end with their operation, and the next daemon ends
what this one leaves. They listen where no slot does, so that neither what serves nor the way back
to the other slot has anything to do with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bluegreen.config.environment import service_environment
from bluegreen.config.placeholders import expand_argv, slot_values
from bluegreen.config.questions import Probe, SmokeStep
from bluegreen.config.settings import AppSettings
from bluegreen.errors import BluegreenError, MigrationError
from bluegreen.health.target import Target
from bluegreen.layout import AppLayout
from bluegreen.log_tail import tail
from bluegreen.migrations.apart import naming_data
from bluegreen.model import (
    Address,
    Job,
    JobResult,
    PhaseName,
    Slot,
    UnitKey,
    UnitState,
    UnitStatus,
)
from bluegreen.operations.free_addresses import with_free_addresses
from bluegreen.operations.run import Run
from bluegreen.processes import uninterrupted
from bluegreen.supervisors.interface import Supervisor

_NAMED = re.compile(r"\{(?:ports|sockets)\.([a-z0-9-]+)\}")


@dataclass(frozen=True, kw_only=True)
class OnCopy:
    """A release as it is to run: ``services`` of it, in ``tree``, on the data in ``data``.

    ``label`` tells its logs from others: ``old``, ``new``. No text that it gets may name one of
    the places ``real``.
    """

    label: str
    slot: Slot
    version: str
    tree: Path
    data: Path
    services: tuple[str, ...]
    real: tuple[Path, ...]

    def log(self, run: Run, service: str) -> Path:
        return run.logs / f"{PhaseName.REHEARSE}-{self.label}-{service}.log"


def asked_services(settings: AppSettings, among: Collection[str]) -> tuple[str, ...]:
    """The services that probes and smoke steps ask, and those that these are told to reach.

    Where nothing asks any, all that listen. Of ``among`` only.
    """
    questions = [question for question in _questions(settings) if question.service in among]
    wanted = {question.service for question in questions}
    if not wanted:
        wanted = {name for name in among if settings.services[name].address(Slot.BLUE, Path())}
    named = _named(question.model_dump_json() for question in questions)
    named |= _named(text for text in settings.env.values() if isinstance(text, str))
    reached: set[str] = set()
    while more := (wanted | named & set(among)) - reached:
        reached |= more
        named |= _named(settings.services[name].model_dump_json() for name in more)
    return tuple(name for name in settings.services if name in reached)


def baked_addresses(settings: AppSettings) -> list[str]:
    """The placeholders of addresses that build steps are given: ``{ports.api}``."""
    texts = (step.model_dump_json() for step in settings.build)
    return sorted({match[0] for text in texts for match in _NAMED.finditer(text)})


def _questions(settings: AppSettings) -> tuple[Probe | SmokeStep, ...]:
    return (*settings.gate.probes, *settings.gate.smoke)


def _named(texts: Iterable[str]) -> set[str]:
    return {name for text in texts for name in _NAMED.findall(text)}


@contextlib.asynccontextmanager
async def running_on_copy(run: Run, what: OnCopy) -> AsyncIterator[Target]:
    """What is started, for the gate and the scenario to ask; all of it has ended afterwards.

    Raises MigrationError where it would have worked on the real data.
    """
    app = run.app
    layout = replace(app.layout, data=what.data)
    taken = app.parts.traffic.ports()
    settings = await asyncio.to_thread(with_free_addresses, app.settings, layout, taken)
    started = await asyncio.to_thread(_prepared, run, what, settings, layout)
    sockets = [path for one in started.addresses.values() if (path := one.socket) is not None]
    await asyncio.to_thread(_unlink, sockets)
    for service, job in started.jobs.items():
        started.tasks[service] = asyncio.create_task(app.parts.supervisor.run(job), name=job.name)
    try:
        yield started.target
    finally:
        await uninterrupted(_end(started, sockets), name=f"end of what is rehearsed of {app.name}")


def _unlink(sockets: Iterable[Path]) -> None:
    for path in sockets:
        path.unlink(missing_ok=True)


async def _end(started: _Started, sockets: Iterable[Path]) -> None:
    for task in started.tasks.values():
        task.cancel()
    if started.tasks:
        await asyncio.wait(started.tasks.values())
    await asyncio.to_thread(_unlink, sockets)


@dataclass(frozen=True, kw_only=True)
class _Started:
    """What runs on the copy: a `ServiceView` of it, and the target of its gate."""

    target: Target
    jobs: Mapping[str, Job]
    addresses: Mapping[str, Address]
    tasks: dict[str, asyncio.Task[JobResult]]


@dataclass(frozen=True, kw_only=True)
class _View:
    app: str
    slot: Slot
    supervisor: Supervisor
    jobs: Mapping[str, Job]
    addresses: Mapping[str, Address]
    tasks: Mapping[str, asyncio.Task[JobResult]]

    def keys(self, service: str) -> list[UnitKey]:
        return [UnitKey(app=self.app, slot=self.slot, service=service)]

    def status(self, key: UnitKey) -> UnitStatus:
        task = self.tasks[key.service]
        if not task.done():
            return UnitStatus(key=key, state=UnitState.RUNNING)
        return UnitStatus(key=key, state=UnitState.BACKOFF, last_exit=_ending(task))

    async def processes(self, key: UnitKey) -> frozenset[int]:
        return await self.supervisor.job_processes(self.jobs[key.service].name)

    async def control_groups(self, key: UnitKey) -> frozenset[int]:
        return await self.supervisor.job_control_groups(self.jobs[key.service].name)

    async def log_tail(self, key: UnitKey, lines: int) -> list[str]:
        return await asyncio.to_thread(tail, self.jobs[key.service].log_file, lines)

    def address(self, key: UnitKey) -> Address | None:
        return self.addresses.get(key.service)


def _ending(task: asyncio.Task[JobResult]) -> str:
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    if error is None:
        return task.result().ending
    return error.message if isinstance(error, BluegreenError) else str(error)


def _prepared(run: Run, what: OnCopy, settings: AppSettings, layout: AppLayout) -> _Started:
    """Reads secret files: blocking. Raises MigrationError, and ConfigError."""
    app, services = run.app, what.services
    values = {
        name: slot_values(
            settings, layout, what.slot, version=what.version, tree=what.tree, service=name
        )
        for name in services
    }
    environment = {
        name: service_environment(
            settings, layout, what.slot, name, version=what.version, tree=what.tree
        )
        for name in services
    }
    jobs = {
        name: Job(
            app=app.name,
            name=f"{app.name}-{run.operation.id}-{PhaseName.REHEARSE}-{what.label}-{name}",
            argv=environment[name].command(
                expand_argv(settings.services[name].command, values[name])
            ),
            cwd=what.tree,
            env=environment[name].variables,
            timeout=settings.gate.rehearsal_time,
            log_file=what.log(run, name),
        )
        for name in services
    }
    _require_apart(run, what, jobs)
    found = {name: settings.services[name].address(what.slot, layout.run) for name in services}
    addresses = {name: address for name, address in found.items() if address is not None}
    tasks: dict[str, asyncio.Task[JobResult]] = {}
    supervisor = app.parts.supervisor
    view = _View(
        app=app.name, slot=what.slot, supervisor=supervisor,
        jobs=jobs, addresses=addresses, tasks=tasks,
    )  # fmt: skip
    target = Target(
        app=app.name, slot=what.slot, version=what.version, services=services, view=view,
        values=values, tree=what.tree, environment=environment, jobs=supervisor, logs=run.logs,
        phase=f"{PhaseName.REHEARSE}-{what.label}",
    )  # fmt: skip
    return _Started(target=target, jobs=jobs, addresses=addresses, tasks=tasks)


def _require_apart(run: Run, what: OnCopy, jobs: Mapping[str, Job]) -> None:
    commands = [
        (one.label, one.command.run)
        for one in _questions(run.app.settings)
        if one.command is not None and one.service in jobs
    ]
    texts = {f"the command of {service}": " ".join(job.argv) for service, job in jobs.items()}
    for job in jobs.values():
        texts |= job.env
    if named := naming_data(run.app.settings, what.real, texts | dict(commands)):
        raise MigrationError(
            f"{run.app.name}: {what.version} would have worked on the real data in the rehearsal",
            detail=named,
            remedy="write {shared_dir} and {slot_dir} there, which are the copies in a rehearsal, "
            "and {copy} behind the name of a database; "
            'or rehearse = "migrations", and false where the app has no run, in [migrations]',
        )
