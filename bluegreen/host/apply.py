"""``bluegreen apply``: everything that root reads, made what the app files ask for."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.load import InvalidConfiguration, load_all
from bluegreen.errors import ConfigError, TrafficError
from bluegreen.host import directories, places, refusals, systemd
from bluegreen.host.accounts import daemon_account
from bluegreen.host.changes import Change, changes_to, put_back, write
from bluegreen.host.desired import Desired, desired
from bluegreen.host.directories import Directory
from bluegreen.host.places import HostFiles, HostLayout
from bluegreen.supervisors.unit_names import PREFIX, first_instance
from bluegreen.traffic.build import NginxBuild, installed_build
from bluegreen.traffic.confirmation import Confirmation
from bluegreen.traffic.loading import Loading
from bluegreen.traffic.nginx import HostNginx


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done, and what an operator should know. Nothing of it is done yet."""

    changes: Sequence[Change]
    directories: Sequence[Directory]
    close_store: bool
    unmarked: Sequence[str]  # apps whose markers say nothing yet
    stop: Sequence[str]  # running units that are gone
    reload_units: bool
    load_nginx: bool
    generation: str
    warnings: Sequence[str]

    @property
    def is_empty(self) -> bool:
        return not (self.changes or self.directories or self.actions)

    @property
    def actions(self) -> list[str]:
        """What is done besides files and directories, in words."""
        said = ["let nobody but the daemon read the store"] if self.close_store else []
        said += [f"mark {app} as not deployed yet" for app in self.unmarked]
        said += [f"stop {unit}" for unit in self.stop]
        said += ["have systemd read its units again"] if self.reload_units else []
        return [*said, *(["have nginx load its files"] if self.load_nginx else [])]


class Host:
    """The systemd host that bluegreen runs on. Needs root."""

    def __init__(self, layout: HostLayout) -> None:
        self._layout = layout
        self._files = HostFiles(layout.root)

    async def plan(self) -> Plan:
        """Look at the configuration and at the host.

        Raises ConfigError for what cannot be done, RefusedError for what is in the way,
        TrafficError without nginx, SupervisorError without systemd.
        """
        build = await installed_build()
        wanted, plan_directories, warnings = await asyncio.to_thread(self._wanted, build)
        running = await systemd.running_units(f"{PREFIX}*@*.service")
        kept = {self._files.units / unit for unit in running if self._runs_on(unit, wanted)}
        changes = [
            change
            for change in await asyncio.to_thread(changes_to, wanted.files, wanted.areas)
            if change.path not in kept
        ]
        units_changed = any(self._files.units in change.path.parents for change in changes)
        nginx = HostNginx(build, self._layout)
        runs = await asyncio.to_thread(nginx.master) is not None
        if not runs:
            warnings = [*warnings, "nginx does not run; start it: systemctl start nginx"]
        loading = Loading(nginx, Confirmation(self._layout.nginx_socket, self._layout.remedies))
        return Plan(
            changes=changes,
            directories=plan_directories,
            unmarked=directories.unmarked(self._layout, wanted.apps),
            close_store=directories.is_store_open_to_others(self._layout),
            stop=self._gone(running, wanted, changes),
            reload_units=units_changed or await systemd.has_old_units(_names(wanted)),
            load_nginx=runs
            and (
                any(change.path in wanted.included for change in changes)
                or not await loading.has(wanted.generation)
            ),
            generation=wanted.generation,
            warnings=warnings,
        )

    async def carry_out(self, plan: Plan) -> None:
        """Do what ``plan`` says; when nginx refuses, all files and directories are as before.

        Raises TrafficError with nginx's words, SupervisorError, RefusedError, OSError.
        """
        nginx = HostNginx(await installed_build(), self._layout)
        loading = Loading(nginx, Confirmation(self._layout.nginx_socket, self._layout.remedies))
        first = [change for change in plan.changes if self._is_for_nginx(change.path)]
        then = [change for change in plan.changes if change not in first]
        done: list[Change] = []
        made: list[Directory] = []
        attempted = False
        try:
            await asyncio.to_thread(directories.make, plan.directories, self._layout, made)
            await asyncio.to_thread(directories.mark_closed, self._layout, plan.unmarked)
            if plan.close_store:
                await asyncio.to_thread(directories.close_store, self._layout)
            # Of systemd's files none has been touched yet should nginx refuse its own.
            await asyncio.to_thread(write, first, done)
            # nginx makes its sockets in them.
            await systemd.make_run_directories(self._files.tmpfiles)
            if first or plan.load_nginx:
                await loading.test(())  # ports nginx tries itself, when it loads
            if plan.load_nginx:
                attempted = True
                await loading.load(plan.generation)
            await asyncio.to_thread(write, then, done)
        except BaseException:
            await asyncio.to_thread(put_back, done)
            if attempted:
                await loading.load_previous(attempted=True)
            await asyncio.to_thread(directories.unmake, made, plan.unmarked, self._layout)
            raise
        if plan.stop:
            await systemd.stop_units(plan.stop)
        if plan.reload_units:
            await systemd.reload_units()

    async def nginx_warnings(self) -> list[str]:
        """What nginx says of its files as they are now, others' too; each with what to do."""
        try:
            return await HostNginx(await installed_build(), self._layout).test()
        except TrafficError as error:
            return ["; ".join((error.message, *error.detail, error.remedy))]

    def _wanted(self, build: NginxBuild) -> tuple[Desired, list[Directory], list[str]]:
        """What the configuration asks for: files, directories that differ, warnings."""
        configuration = load_all(self._layout)
        apps = configuration.apps
        if problems := refusals.problems(apps, self._layout):
            raise InvalidConfiguration(problems)
        daemon_account()
        _check_launchers()
        accounts = {name: refusals.account_of(settings) for name, settings in apps.items()}
        wanted = desired(apps, configuration.daemon.api, accounts, self._layout, build)
        state = directories.state_directories(self._layout, accounts)
        return (
            wanted,
            directories.missing(state, self._layout),
            refusals.warnings(apps, self._layout),
        )

    def _runs_on(self, unit: str, wanted: Desired) -> bool:
        """Whether it is of a service that was started with more instances than it is to have now.

        They belong to the release in their slot and end with it; an apply after that removes them.
        """
        first = first_instance(unit)
        files = wanted.files
        return self._files.units / unit not in files and self._files.units / first in files

    def _gone(
        self, running: Sequence[str], wanted: Desired, changes: Sequence[Change]
    ) -> list[str]:
        """The running units that the configuration no longer has, also since an earlier apply."""
        removed = {change.path for change in changes if change.after is None}
        gone = []
        for unit in running:
            files = [self._files.units / name for name in (unit, _template(unit))]
            # A file that stays, and is none of ours, is an administrator's unit.
            if not any(file in wanted.files for file in files) and all(
                file in removed or not file.exists() for file in files
            ):
                gone.append(unit)
        return gone

    def _is_for_nginx(self, path: Path) -> bool:
        mine = (self._files.nginx_include, self._files.tmpfiles)
        return path in mine or self._layout.nginx in path.parents


def _names(wanted: Desired) -> list[str]:
    """The units that are no templates, and those that are changed by a drop-in of ours."""
    paths = [path for path, content in wanted.files.items() if isinstance(content, str)]
    units = [
        path.name
        for path in paths
        if path.suffix in (".service", ".target") and "@." not in path.name
    ]
    return units + [path.parent.name.removesuffix(".d") for path in paths if _is_drop_in(path)]


def _is_drop_in(path: Path) -> bool:
    return path.parent.name.endswith(".service.d")


def _template(unit: str) -> str:
    """The template that ``unit`` is an instance of."""
    return f"{unit.partition('@')[0]}@.service"


def _check_launchers() -> None:
    """Units run these: root's, and nobody else's to change. Raises ConfigError."""
    for launcher in (places.EXEC_LAUNCHER, places.ENV_LAUNCHER, places.JOB_LAUNCHER):
        if not _is_roots_program(launcher):
            raise ConfigError(
                f"{launcher} is not there, or is not a program that only root may change",
                remedy="install bluegreen (deploy/install), which puts it there",
            )


def _is_roots_program(program: Path) -> bool:
    try:
        found = program.stat()
    except OSError:
        return False
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == 0
        and found.st_mode & 0o022 == 0
        and found.st_mode & 0o111 == 0o111
    )
