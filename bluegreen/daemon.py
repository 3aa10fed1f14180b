"""Puts the parts together: start, recover, serve, reload, stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bluegreen.api.bus import Bus
from bluegreen.api.control_socket import ControlSocket, control_socket
from bluegreen.api.server import Api, serve
from bluegreen.config.load import Configuration, InvalidConfiguration, load_all
from bluegreen.config.settings import AppSettings
from bluegreen.data.work import remove_leftovers
from bluegreen.errors import BluegreenError, BusyError, RefusedError, TrafficError, UsageError
from bluegreen.layout import LONGEST_SOCKET_PATH, Layout
from bluegreen.model import Slot, SlotState
from bluegreen.notify import Notifier
from bluegreen.operations import acceptance, lost_history
from bluegreen.operations.acceptance import InForce
from bluegreen.operations.desk import Desk
from bluegreen.operations.observation import first_free_operation, observe_slots
from bluegreen.operations.recovery import recover, units_that_may_run
from bluegreen.operations.runtime import AppRuntime, Parts
from bluegreen.operations.upkeep import Upkeep, in_words
from bluegreen.store import Store, StoreCorruptError, set_aside
from bluegreen.supervisors.embedded import EmbeddedSupervisor
from bluegreen.supervisors.interface import Supervisor
from bluegreen.supervisors.systemd import SystemdSupervisor
from bluegreen.traffic.control import TrafficControl
from bluegreen.vitals import Vitals, describe

log = logging.getLogger(__name__)

RELOAD_LIMIT = 30.0  # seconds that a reload in progress is given when the daemon ends


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the daemon was started. ``on_host``: systemd runs services, and root's nginx serves."""

    layout: Layout
    on_host: bool = False
    stop_apps: bool = False  # at its end, stop the apps and nginx too
    notifier: Notifier  # the service manager that started it
    listener: socket.socket | None = None  # the control socket, where that was handed over


@contextlib.contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Hold the root's lock file; RefusedError when another daemon does."""
    descriptor = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode().strip() or "unknown"
            raise RefusedError(
                f"a daemon already serves {layout.root} (pid {holder})",
                remedy="use it, or end it first; another --root is another daemon",
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


class Daemon:
    """One root's daemon. Await ``run``; ``stop`` ends it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._layout = options.layout
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._reloads: set[asyncio.Task[None]] = set()
        self._bus = Bus()
        self._vitals = Vitals(options.notifier, self._bus.listen)
        self._in_force: InForce
        self._upkeep: Upkeep
        self._lost: tuple[str, ...] = ()  # what of the history is to be said
        self._refused: tuple[str, ...] = ()  # why the last reload changed nothing

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Serve until told to stop. Raises BluegreenError when it cannot start."""
        self._check_root()
        try:
            make_root(self._layout)
        except OSError as error:
            raise RefusedError(
                f"{error.filename or self._layout.root} cannot be written: {error.strerror}",
                remedy="let the user that runs the daemon write there, with some room on the "
                "disk; or name another --root",
            ) from error
        with only_one(self._layout):
            async with self._vitals.told():
                await self._run()

    async def _run(self) -> None:
        store = await self._open_store()
        try:
            self._lost = await asyncio.to_thread(lost_history.warnings, self._layout)
            self._vitals.ask(store.integrity)
            await self._serve(store)
        finally:
            self._vitals.ask(None)
            await store.close()

    def _check_root(self) -> None:
        longest = max(
            len(os.fsencode(path))
            for path in (self._layout.control_socket, self._layout.nginx_socket)
        )
        if longest > LONGEST_SOCKET_PATH:
            raise UsageError(
                f"{self._layout.root} is too long a path for the sockets in it "
                f"({longest} bytes, at most {LONGEST_SOCKET_PATH})",
                remedy="choose a shorter --root",
            )

    async def _open_store(self) -> Store:
        """The store; a corrupt one is put aside, and a new one begun."""
        path = self._layout.database
        if await asyncio.to_thread(lost_history.is_missing, self._layout):
            lost = f"the history {path} was gone"
        else:
            try:
                return await Store.open(path, events=self._bus.publish)
            except StoreCorruptError as error:
                aside = await asyncio.to_thread(set_aside, path)
                lost = f"{error.message} and was put aside as {aside}"
        await asyncio.to_thread(lost_history.remember, self._layout, lost)
        first = await asyncio.to_thread(first_free_operation, self._layout)
        return await Store.open(path, events=self._bus.publish, first_operation=first)

    async def _serve(self, store: Store) -> None:
        slots = await store.all_slots()

        def ran(app: str, slot: Slot) -> bool:
            record = slots.get(app, {}).get(slot)
            return record is not None and record.state in (SlotState.HOT, SlotState.STARTING)

        self._in_force = await asyncio.to_thread(acceptance.load, self._layout, ran)
        configuration = self._in_force.configuration
        self._say_problems()
        on_host = self._options.on_host
        kind = SystemdSupervisor if on_host else EmbeddedSupervisor
        supervisor: Supervisor = kind(self._layout)
        parts = Parts(
            layout=self._layout,
            store=store,
            supervisor=supervisor,
            traffic=TrafficControl(self._layout, own_nginx=not on_host),
            builds=asyncio.Semaphore(configuration.daemon.limits.builds),
        )
        desk = Desk(parts)
        self._upkeep = Upkeep(desk)
        await self._put_in_force(desk, configuration)
        for app in desk.apps.values():
            if await observe_slots(app):
                message = "the store was lost: what the slots hold was observed anew"
                await parts.note(app.name, None, "warning", message=message)
        await supervisor.open(await units_that_may_run(list(desk.apps.values())))
        stop_apps = self._options.stop_apps
        try:
            await self._open_traffic(parts.traffic, list(configuration.apps.values()))
            if not self._in_force.problems:
                await self._keep_accepted()
            await recover(desk, desk.apps.keys())
            desk.later(self._upkeep.run(), name="upkeep")
            spare_the_collector()
            api = Api(desk, self._bus, self._reloader(desk), self._now_in_force)
            control = control_socket(self._layout.control_socket, self._options.listener)
            try:
                await self._answer(api, control)
            finally:
                control.remove()
        finally:
            await desk.close()
            await supervisor.close(stop_units=stop_apps)
            await parts.traffic.close(stop_nginx=stop_apps)

    def _now_in_force(self) -> InForce:
        """With what an operator has to know beside it."""
        trouble = (self._upkeep.trouble,) if self._upkeep.trouble else ()
        said = (*self._lost, *self._refused, *self._in_force.warnings, *trouble)
        return replace(self._in_force, warnings=said)

    async def _open_traffic(self, traffic: TrafficControl, apps: list[AppSettings]) -> None:
        """nginx in trouble must not keep the apps from running, nor `status` from saying so."""
        try:
            await traffic.open(apps)
        except TrafficError as error:
            if not traffic.is_open:
                raise
            log.error("nginx does not serve what it should: %s", "; ".join(error.lines()))
            self._upkeep.trouble = in_words(error)

    async def _answer(self, api: Api, control: ControlSocket) -> None:
        runner = await serve(api, control)
        try:
            await self._until_stopped(api.desk)
        finally:
            await runner.cleanup()

    async def _until_stopped(self, desk: Desk) -> None:
        loop = asyncio.get_running_loop()

        def reload() -> None:
            task = asyncio.create_task(self._reload_on_signal(desk), name="reload on SIGHUP")
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)

        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGHUP, reload)
        apps = "1 app" if len(desk.apps) == 1 else f"{len(desk.apps)} apps"
        log.info("serving %s on %s", apps, self._layout.control_socket)
        self._vitals.ready(lambda: describe(desk))
        await self._stopping.wait()
        log.info("stopping")
        self._vitals.stopping()
        desk.interrupt()  # at once: whoever follows an operation keeps the API open until it ends
        if self._reloads:
            await asyncio.wait(set(self._reloads), timeout=RELOAD_LIMIT)

    # -- configuration ----------------------------------------------------------------------

    async def _put_in_force(self, desk: Desk, configuration: Configuration) -> None:
        stored = await desk.parts.store.all_slots()
        for name in [name for name in desk.apps if name not in configuration.apps]:
            await desk.apps[name].stop_warming()
            await desk.warmth.stop_cooling(name)
            del desk.apps[name]
        for name, settings in configuration.apps.items():
            if name in desk.apps:
                desk.apps[name].settings = settings
                continue
            slots = stored.get(name) or await desk.parts.store.slots(name)
            runtime = AppRuntime(settings=settings, parts=desk.parts, slots=dict(slots))
            await asyncio.to_thread(make_directories, runtime)
            desk.apps[name] = runtime

    def _reloader(self, desk: Desk) -> Callable[[bool], Awaitable[dict[str, Any]]]:
        return lambda check: self._examine(desk) if check else self._reload(desk)

    async def _reload(self, desk: Desk) -> dict[str, Any]:
        """Take up changed files; on any problem everything stays as it was, and status says so."""
        self._refused = ()
        try:
            return await self._take_up(desk)
        except InvalidConfiguration:
            raise  # each of its problems is said
        except BluegreenError as error:
            self._refused = (f"not reloaded: {error.message}; {error.remedy}",)
            raise

    async def _examine(self, desk: Desk) -> dict[str, Any]:
        """What a reload would change now. Raises as a reload would, and changes nothing."""
        old = self._in_force.configuration
        new = await self._judged(desk)
        _refuse_busy(desk, _changed(old, new))
        return _difference(old, new)

    async def _judged(self, desk: Desk) -> Configuration:
        """The files as they are now. Raises InvalidConfiguration for what may not be taken up."""
        new = await asyncio.to_thread(load_all, self._layout)
        old = self._in_force.configuration.apps
        if problems := acceptance.refusals(old, new, self._layout, desk.runs_in):
            raise InvalidConfiguration(problems)
        return new

    async def _take_up(self, desk: Desk) -> dict[str, Any]:
        async with self._reloading, contextlib.AsyncExitStack() as held:
            held.enter_context(self._vitals.reloading())
            old = self._in_force.configuration
            try:
                new = await self._judged(desk)
            except InvalidConfiguration as error:
                self._in_force = replace(self._in_force, problems=error.problems)
                raise
            changed = _changed(old, new)
            for name in changed:  # no operation begins on them until this is over
                await held.enter_async_context(desk.apps[name].admission)
            _refuse_busy(desk, changed)
            await desk.parts.traffic.publish(list(new.apps.values()))
            self._upkeep.trouble = None
            await self._put_in_force(desk, new)
            await recover(desk, new.apps.keys() - old.apps.keys())
            self._in_force = InForce(configuration=new)
            await asyncio.to_thread(lost_history.confirm, self._layout)
            self._lost = ()
            await self._keep_accepted()
            return _difference(old, new)

    async def _keep_accepted(self) -> None:
        """Remember the files for the next start; without that they are in force all the same."""
        try:
            await asyncio.to_thread(acceptance.keep, self._layout, self._in_force.configuration)
        except OSError as error:
            warning = f"the accepted configuration could not be kept: {error.strerror}"
            log.warning("%s", warning)
            self._in_force = replace(self._in_force, warnings=(warning,))

    async def _reload_on_signal(self, desk: Desk) -> None:
        try:
            log.info("reloaded: %s", await self._reload(desk))
        except InvalidConfiguration:
            self._say_problems()
        except Exception as error:
            log.error("not reloaded, the running configuration stays: %s", error)

    def _say_problems(self) -> None:
        for problem in self._in_force.problems:
            log.error("not taken up, the last accepted configuration is used: %s", problem)


def _changed(old: Configuration, new: Configuration) -> list[str]:
    """The apps whose files say something else, or are gone."""
    return [name for name, settings in old.apps.items() if new.apps.get(name) != settings]


def _refuse_busy(desk: Desk, apps: Sequence[str]) -> None:
    busy = [found for name in apps if (found := desk.busy(name)) is not None]
    if busy:
        raise BusyError(
            f"the file of an app has changed, and {busy[0].message}",
            detail=[other.message for other in busy[1:]],
            remedy="try again when it has ended; the running configuration stays",
        )


def _difference(old: Configuration, new: Configuration) -> dict[str, Any]:
    return {
        "added": sorted(new.apps.keys() - old.apps.keys()),
        "removed": sorted(old.apps.keys() - new.apps.keys()),
        "changed": sorted(
            name for name in new.apps.keys() & old.apps.keys() if new.apps[name] != old.apps[name]
        ),
        "at_next_start": ["bluegreen.toml"] if new.daemon != old.daemon else [],
    }


def spare_the_collector() -> None:
    """Leave what lives as long as the daemon out of garbage collections.

    With hundreds of apps a full one takes some 30 ms, in which a switch would wait.
    """
    gc.collect()
    gc.freeze()


def make_root(layout: Layout) -> None:
    """The directories of the daemon itself, and room for its pid in the lock file."""
    for directory in (layout.state, layout.logs, layout.process_records):
        directory.mkdir(parents=True, exist_ok=True)
    layout.lock_file.touch(mode=0o600)


def make_directories(app: AppRuntime) -> None:
    """Everything an app needs on disk before its first release.

    Where it has a user of its own, that user's directories are root's to make (see ``apply``).
    """
    layout = app.layout
    directories: list[Path] = [layout.logs / "operations", layout.logs / "services"]
    if not layout.has_own_user:
        directories += [
            layout.slots, layout.trees, layout.shared, layout.cache, layout.traffic, layout.run,
            layout.backups,
        ]  # fmt: skip
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
    remove_leftovers(layout)
