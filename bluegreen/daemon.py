"""Puts the parts together: start, recover, serve, reload, stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bluegreen.api import audit
from bluegreen.api.bus import Bus
from bluegreen.api.context import Api
from bluegreen.api.control_socket import ControlSocket, control_socket
from bluegreen.api.listening import Listening
from bluegreen.api.server import serving
from bluegreen.api.tokens import Keyring
from bluegreen.config.load import Configuration, InvalidConfiguration, load_all
from bluegreen.config.settings import AppSettings
from bluegreen.daemon_lock import only_one
from bluegreen.daemon_root import check_root, make_root, open_store
from bluegreen.errors import BluegreenError, BusyError, RefusedError, TrafficError
from bluegreen.layout import Layout
from bluegreen.model import Slot, SlotRecord
from bluegreen.notifications.courier import Surroundings
from bluegreen.notifications.service import Notifications
from bluegreen.notify import Notifier
from bluegreen.operation_log import logged
from bluegreen.operations import acceptance, app_directories, lost_history
from bluegreen.operations.acceptance import InForce
from bluegreen.operations.adoption import count_instances, units_that_may_run
from bluegreen.operations.copies import end_forgotten_copies, forgotten_copies
from bluegreen.operations.desk import Desk
from bluegreen.operations.observation import observe_slots
from bluegreen.operations.parts import Parts
from bluegreen.operations.recovery import recover
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.upkeep import Upkeep, in_words
from bluegreen.reloaded import taken_up
from bluegreen.signals import Signals
from bluegreen.store import Store
from bluegreen.supervisors.embedded import EmbeddedSupervisor
from bluegreen.supervisors.interface import Supervisor
from bluegreen.supervisors.systemd import SystemdSupervisor
from bluegreen.traffic.control import TrafficControl
from bluegreen.vitals import Vitals, describe
from bluegreen.webhooks.intake import Intake
from bluegreen.words import counted

log = logging.getLogger(__name__)

RELOAD_LIMIT = 30.0  # seconds that a reload in progress is given when the daemon ends
COLLECT_AFTER = 10_000  # objects that are made and not gone


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the daemon was started. ``on_host``: systemd runs services, and root's nginx serves."""

    layout: Layout
    on_host: bool = False
    stop_apps: bool = False  # at its end, stop the apps and nginx too
    notifier: Notifier  # the service manager that started it
    listener: socket.socket | None = None  # the control socket, where that was handed over


class Daemon:
    """One root's daemon. Await ``run``; ``stop`` ends it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._layout = options.layout
        self._stopping = asyncio.Event()
        self._signals = Signals(self.stop)
        self._reloading = asyncio.Lock()
        self._reloads: set[asyncio.Task[None]] = set()
        self._bus = Bus()
        self._vitals = Vitals(options.notifier, self._bus.listen)
        self._in_force: InForce
        self._upkeep: Upkeep
        self._notifications: Notifications
        self._listening: Listening
        self._lost: tuple[str, ...] = ()  # what of the history is to be said
        self._unrecovered: set[str] = set()  # apps whose leftovers a reload could not look at
        self._refused: tuple[str, ...] = ()  # why the last reload changed nothing

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Serve until told to stop. Raises BluegreenError when it cannot start."""
        self._signals.listen()
        check_root(self._layout)
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
        store = await open_store(self._layout, logged(self._bus.publish))
        try:
            self._lost = await asyncio.to_thread(lost_history.warnings, self._layout)
            self._vitals.ask(store.integrity)
            await self._serve(store)
        finally:
            self._vitals.ask(None)
            await store.close()

    async def _serve(self, store: Store) -> None:
        slots = await store.all_slots()

        def held(app: str, slot: Slot) -> SlotRecord:
            return slots.get(app, {}).get(slot) or SlotRecord(app=app, slot=slot)

        self._in_force = await asyncio.to_thread(acceptance.load, self._layout, held)
        configuration = self._in_force.configuration
        self._say_problems()
        on_host, stop_apps = self._options.on_host, self._options.stop_apps
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
        self._notifications = Notifications(Surroundings(store=store, news=self._bus.listen))
        await self._put_in_force(desk, configuration, await self._added(desk, configuration))
        for app in desk.apps.values():
            await self._prepare_or_warn(app)
            if await observe_slots(app):
                message = "the store was lost: what the slots hold was observed anew"
                await parts.note(app.name, None, "warning", message=message)
        await supervisor.open(await units_that_may_run(list(desk.apps.values())))
        await count_instances(list(desk.apps.values()))
        desk.watching.open()
        try:
            await self._open_traffic(parts.traffic, list(configuration.apps.values()))
            if not self._in_force.problems:
                await self._keep_accepted()
            for app in desk.apps.values():
                await desk.previewing.take_over(app)
            if not self._stopping.is_set():  # else nothing more is begun
                await recover(desk, desk.apps.keys())
            desk.later(self._upkeep.run(), name="upkeep")
            forgotten = await forgotten_copies(list(desk.apps.values()))
            desk.later(end_forgotten_copies(forgotten), name="copies left by earlier daemons")
            spare_the_collector()
            hooks = Intake(desk)
            if not self._stopping.is_set():
                await hooks.resume()
            keyring = Keyring(store.tokens)
            api = Api(
                desk, self._bus, self._reloader(desk), self._now_in_force, hooks, keyring,
                self._notifications,
            )  # fmt: skip
            control = control_socket(self._layout.control_socket, self._options.listener)
            try:
                await self._answer(api, control)
            finally:
                control.remove()
                await hooks.close()
        finally:
            await self._notifications.close()
            await desk.close()
            await supervisor.close(stop_units=stop_apps)
            await parts.traffic.close(stop_nginx=stop_apps)

    async def _prepare_or_warn(self, app: AppRuntime) -> None:
        """One app's trouble must not keep the others from being served."""
        for step in (app_directories.make, app_directories.clear):
            try:
                await asyncio.to_thread(step, app.name, self._layout)
            except RefusedError as error:
                self._warn(in_words(error))

    def _now_in_force(self) -> InForce:
        """With what an operator has to know beside it."""
        trouble = (self._upkeep.trouble,) if self._upkeep.trouble else ()
        heard = (*self._listening.warnings, *self._notifications.warnings())
        said = (*self._lost, *self._refused, *self._in_force.warnings, *heard, *trouble)
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
        settings = self._in_force.configuration.daemon.api
        async with serving(api, control) as self._listening:
            await self._listening.open(settings)
            await self._until_stopped(api.desk)

    async def _until_stopped(self, desk: Desk) -> None:
        def reload() -> None:
            task = asyncio.create_task(self._reload_on_signal(desk), name="reload on SIGHUP")
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)

        self._signals.on_reload(reload)
        apps = counted(len(desk.apps), "app")
        log.info("serving %s on %s", apps, self._layout.control_socket)
        self._vitals.ready(lambda: describe(desk))
        await self._stopping.wait()
        log.info("stopping")
        self._vitals.stopping()
        desk.interrupt()  # at once: whoever follows an operation keeps the API open until it ends
        if self._reloads:
            await asyncio.wait(set(self._reloads), timeout=RELOAD_LIMIT)

    # -- configuration ----------------------------------------------------------------------

    async def _added(self, desk: Desk, configuration: Configuration) -> list[AppRuntime]:
        """Its apps that are not known yet."""
        store = desk.parts.store
        stored = await store.all_slots()
        return [
            AppRuntime(
                settings=settings, parts=desk.parts,
                slots=dict(stored.get(name) or await store.slots(name)),
            )
            for name, settings in configuration.apps.items()
            if name not in desk.apps
        ]  # fmt: skip

    async def _put_in_force(
        self, desk: Desk, configuration: Configuration, added: Sequence[AppRuntime]
    ) -> None:
        for name in [name for name in desk.apps if name not in configuration.apps]:
            await desk.forget(name)
        for name, app in desk.apps.items():
            app.settings = configuration.apps[name]
        desk.apps.update({app.name: app for app in added})
        await self._notifications.take_up(configuration)

    def _reloader(self, desk: Desk) -> Callable[[bool], Awaitable[dict[str, Any]]]:
        return lambda check: self._examine(desk) if check else self._reload(desk)

    async def _reload(self, desk: Desk) -> dict[str, Any]:
        """Take up changed files; on any problem everything stays as it was, and status says so.

        Once nginx has them they are in force: what fails then is a warning.
        """
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
        _refuse_busy(desk, acceptance.changed(old, new))
        (await self._listening.prepare(new.daemon.api)).discard()
        return acceptance.difference(old, new)

    async def _judged(self, desk: Desk) -> Configuration:
        """The files as they are now. Raises InvalidConfiguration for what may not be taken up."""
        new = await asyncio.to_thread(load_all, self._layout)
        old = self._in_force.configuration.apps
        if problems := acceptance.refusals(old, new, self._layout, desk.held_in):
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
            changed = acceptance.changed(old, new)
            for name in changed:  # no operation begins on them until this is over
                await held.enter_async_context(desk.apps[name].admission)
            _refuse_busy(desk, changed)
            # All that the host, the disk or the store may refuse, before nginx is told.
            doors = await self._listening.prepare(new.daemon.api)
            held.callback(doors.discard)
            added = await self._added(desk, new)
            for name in new.apps:
                await asyncio.to_thread(app_directories.make, name, self._layout)
            for app in added:
                await asyncio.to_thread(app_directories.clear, app.name, self._layout)
            await desk.parts.traffic.publish(list(new.apps.values()))
            self._upkeep.trouble = None
            await self._put_in_force(desk, new, added)
            self._in_force = InForce(configuration=new)
            await self._listening.follow(doors)
            # It is made: what fails from here on is a warning of it.
            self._unrecovered |= {app.name for app in added}
            try:
                await self._settle_in(desk, changed)
            except (BluegreenError, OSError) as error:
                self._warn(f"reloaded, and not all is done: {in_words(error)}; then reload again")
            await self._confirm_lost()
            await self._keep_accepted()
            return acceptance.difference(old, new)

    async def _settle_in(self, desk: Desk, changed: Sequence[str]) -> None:
        """See to what has come, also where an earlier reload could not, and to what has changed."""
        self._unrecovered &= desk.apps.keys()
        async with contextlib.AsyncExitStack() as held:
            # What begins meanwhile is not what was left; of ``changed`` this is held already.
            for name in self._unrecovered.difference(changed):
                await held.enter_async_context(desk.apps[name].admission)
            came = [name for name in self._unrecovered if desk.running(name) is None]
            for name in came:
                await desk.previewing.take_over(desk.apps[name])
            if came:
                await recover(desk, came)
        self._unrecovered.clear()
        for name in changed:
            if name in desk.apps:
                await desk.warmth.keep_apart(desk.apps[name])
                desk.waiting.look(desk.apps[name])

    async def _confirm_lost(self) -> None:
        """An operator has been told of a lost history; what cannot be forgotten is said again."""
        try:
            await asyncio.to_thread(lost_history.confirm, self._layout)
        except OSError as error:
            self._warn(f"{error.filename} could not be removed: {error.strerror}")
        else:
            self._lost = ()

    async def _keep_accepted(self) -> None:
        """Remember the files for the next start; without that they are in force all the same."""
        try:
            await asyncio.to_thread(acceptance.keep, self._layout, self._in_force.configuration)
        except OSError as error:
            self._warn(f"the accepted configuration could not be kept: {error.strerror}")

    def _warn(self, warning: str) -> None:
        """In the log, and in every status until the next reload."""
        log.warning("%s", warning)
        warnings = (*self._in_force.warnings, warning)
        self._in_force = replace(self._in_force, warnings=warnings)

    async def _reload_on_signal(self, desk: Desk) -> None:
        try:
            log.info("%s", taken_up(await self._reload(desk)))
            await desk.parts.note(
                audit.WHOLE_HOST, None, audit.KIND, asked="SIGHUP", by="root or the daemon's user",
                via="signal",
            )  # fmt: skip
        except InvalidConfiguration:
            self._say_problems()
        except Exception as error:
            log.error("not reloaded, the running configuration stays: %s", error)

    def _say_problems(self) -> None:
        for problem in self._in_force.problems:
            log.error("not taken up, the last accepted configuration is used: %s", problem)


def _refuse_busy(desk: Desk, apps: Sequence[str]) -> None:
    busy = [found for name in apps if (found := desk.busy(name)) is not None]
    if busy:
        raise BusyError(
            f"the file of an app has changed, and {busy[0].message}",
            detail=[other.message for other in busy[1:]],
            remedy="try again when it has ended; the running configuration stays",
        )


def spare_the_collector() -> None:
    """Leave what lives as long as the daemon out of garbage collections.

    With hundreds of apps a full one takes some 30 ms, in which a switch would wait. What comes and
    goes with requests is no garbage for it: it looks for some less often than Python would.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
