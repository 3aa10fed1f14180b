"""Moves an app's traffic, and knows from nginx that it has moved."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from bluegreen.config.settings import AppSettings
from bluegreen.errors import TrafficError
from bluegreen.layout import Layout
from bluegreen.model import Hold, Slot, SwitchMode, Traffic
from bluegreen.processes import uninterrupted
from bluegreen.traffic.build import installed_build
from bluegreen.traffic.confirmation import Answer, Confirmation
from bluegreen.traffic.disk import disk_error, unsafe
from bluegreen.traffic.gate import Gate, HostGate, OwnGate
from bluegreen.traffic.holding import Holding
from bluegreen.traffic.loading import Loading
from bluegreen.traffic.own_nginx import OwnNginx
from bluegreen.traffic.plan import Planner
from bluegreen.traffic.publishing import HostPublisher, Move, OwnPublisher, Publisher

log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")

SWITCHES_AT_ONCE = 8  # more wait for their turn, of a millisecond each
MARKER_TIMEOUT = 5.0  # seconds until nginx says what a marker says
AGAIN = 0.1  # seconds between looks at an nginx that does not answer
REMEMBERED_AFTER = 0.02  # seconds: whoever asked for a switch has the answer first


class TrafficControl:
    """The traffic of all apps of one root.

    A change runs to its end, or is undone, even when its task is cancelled. After a TrafficError
    from ``open`` the control may be used: nginx serves as it did.
    """

    def __init__(self, layout: Layout, *, own_nginx: bool) -> None:
        self._layout = layout
        self._own_nginx = own_nginx
        self._confirmation = Confirmation(layout.nginx_socket, layout.remedies)
        self._apps: dict[str, AppSettings] = {}
        # Whoever changes what nginx loads; a switch by marker does not.
        self._loading_lock = asyncio.Lock()
        self._opened: tuple[Planner, Publisher, Holding] | None = None
        self._gate: Gate = OwnGate(layout) if own_nginx else HostGate(layout)
        self._threads = ThreadPoolExecutor(SWITCHES_AT_ONCE, "switch")
        self._remembering: dict[str, asyncio.Task[None]] = {}
        # What nginx is to serve, and whether it was ever brought to.
        self._wanted: Mapping[str, AppSettings] = {}
        self._published = False

    async def open(self, apps: Sequence[AppSettings]) -> None:
        """Publish ``apps``; with an nginx of our own, start it or find it running."""
        build = await installed_build()
        planner = Planner(self._layout, build, own_nginx=self._own_nginx)
        publisher: Publisher
        if self._own_nginx:
            loading = Loading(OwnNginx(build, self._layout), self._confirmation)
            publisher = OwnPublisher(planner, loading)
        else:
            publisher = HostPublisher(planner, self._confirmation)
        holding = Holding(
            layout=self._layout, build=build, planner=planner,
            confirmation=self._confirmation, gate=self._gate,
        )  # fmt: skip
        self._opened = planner, publisher, holding
        await self._gate.open(needed=any(planner.traffic(app.name).held for app in apps))
        self._wanted = {settings.name: settings for settings in apps}
        await self.publish(apps)

    async def revive(self) -> bool:
        """Have nginx serve again: one of our own that has ended, or any that refused at first.

        Returns whether that was needed. Raises TrafficError when it still does not.
        """
        if self._published and not await self._publisher.is_down():
            return False
        await uninterrupted(self._publish(None), name="revive nginx")
        return True

    def meddled_with(self, apps: Iterable[str]) -> list[str]:
        """Those whose markers say what bluegreen never lets them say. Blocking, and quick."""
        found = []
        for app in apps:
            markers = self._planner.markers(app)
            named = len(markers.present())
            if named > 1 or (named == 0 and not markers.closed):
                found.append(app)
        return found

    @property
    def is_open(self) -> bool:
        """Whether the control may be used: after a TrafficError from ``open`` too, mostly."""
        return self._opened is not None

    async def publish(self, apps: Sequence[AppSettings]) -> None:
        """Let nginx serve ``apps`` and no others, as the markers say.

        nginx is reloaded only if that changes what it has loaded. Raises TrafficError (nginx
        refuses, a port is taken, the disk is full) or ConfigError, with the previous files back.
        """
        by_name = {settings.name: settings for settings in apps}
        await uninterrupted(self._publish(by_name), name="publish")

    async def expect_nginx(self, app: str | None = None, *, within: float = 0.0) -> None:
        """Raises TrafficError unless nginx answers ``within`` seconds, and has loaded ``app``.

        Some seconds are for an nginx that is being started again.
        """
        deadline = asyncio.get_running_loop().time() + within
        while True:
            try:
                if app is None:
                    await self._confirmation.ask(None)
                else:
                    await asyncio.to_thread(self._expect_served, app)
            except TrafficError:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
            else:
                return
            await asyncio.sleep(AGAIN)

    def held(self, apps: Iterable[str]) -> list[str]:
        """Those whose requests are held. Blocking, and quick."""
        return [app for app in apps if self._planner.markers(app).held is not None]

    def ports(self) -> frozenset[int]:
        """Every port that a service of any app has, in either slot."""
        services = (one for app in self._apps.values() for one in app.services.values())
        pairs = [one.ports for one in services if one.ports is not None]
        return frozenset(port for pair in pairs for port in (pair.blue, pair.green))

    def read(self, app: str) -> Traffic:
        """Where the markers say that the app's traffic goes."""
        return self._planner.traffic(app)

    async def switch(self, settings: AppSettings, to: Slot) -> tuple[str, ...]:
        """Move the traffic to ``to`` and have nginx confirm it; the first switch opens the site.

        Returns what an operator should know of it. Raises TrafficError with everything as it was.
        """
        if settings.nginx.switch is SwitchMode.RELOAD:
            work = self._switch_by_reload(settings, to)
        else:
            work = self._switch_by_marker(settings, to)
        return await uninterrupted(work, name=f"switch {settings.name}")

    async def set_closed(self, settings: AppSettings, closed: bool) -> None:
        """Take the app out of service (503) or into it again, confirmed by nginx.

        Raises TrafficError with everything as it was.
        """
        await uninterrupted(self._set_closed(settings, closed), name=f"close {settings.name}")

    async def hold(
        self,
        settings: AppSettings,
        *,
        until: float,
        by: str,
        operation: int | None = None,
        ways: Collection[Slot] = (),
    ) -> Hold:
        """Have new requests wait at nginx, confirmed: none that comes from now on reaches a slot.

        Those that came before are under way, and may still be sent there. ``until`` is in Unix
        seconds; by then somebody releases them, or the gate by itself lets them through to the slot
        that the marker names or, if that does not answer, to one of ``ways`` that does; else it
        says 503. ``operation`` is whose hold it is; None: by hand. Of an app that is held already,
        this changes what its hold says. Raises RefusedError where the app or this nginx cannot be
        held, UsageError for a time that has passed or is too long, and TrafficError, all with
        everything as it was.
        """
        work = self._holding.hold(settings, until=until, by=by, operation=operation, ways=ways)
        return await uninterrupted(work, name=f"hold {settings.name}")

    async def release(self, settings: AppSettings) -> Hold:
        """Let the requests through to the slot that the marker names; returns what held them.

        Confirmed by nginx: no request waits when this returns. Raises RefusedError where they are
        not held, and TrafficError: the marker cannot be removed, and they wait on; or it is gone,
        and nginx or the gate does not say that it has seen that.
        """
        return await uninterrupted(self._holding.release(settings), name=f"release {settings.name}")

    async def hand_back(self, settings: AppSettings) -> None:
        """Let what the app replaces serve again, as before its first release; confirmed by nginx.

        Raises TrafficError with everything as it was.
        """
        await uninterrupted(self._hand_back(settings), name=f"hand back {settings.name}")

    async def agree(self, settings: AppSettings) -> None:
        """Make the files and nginx follow the marker, whatever was interrupted.

        Of two markers, that of the slot last switched to stays. Raises TrafficError.
        """
        await uninterrupted(self._agree(settings), name=f"agree {settings.name}")

    async def close(self, *, stop_nginx: bool) -> None:
        """Let go. An nginx of our own goes on serving, unless it is to be stopped."""
        if stop_nginx and self._opened is not None:
            await uninterrupted(self._publisher.stop(), name="stop nginx")
        await uninterrupted(self._gate.close(stop=stop_nginx), name="let the gate go")
        await self._all_remembered([*self._remembering])
        self._threads.shutdown(wait=False)

    @property
    def _parts(self) -> tuple[Planner, Publisher, Holding]:
        if self._opened is None:
            raise RuntimeError("open() comes first")
        return self._opened

    @property
    def _planner(self) -> Planner:
        return self._parts[0]

    @property
    def _publisher(self) -> Publisher:
        return self._parts[1]

    @property
    def _holding(self) -> Holding:
        return self._parts[2]

    async def _publish(self, apps: Mapping[str, AppSettings] | None) -> None:
        """None: those that are wanted once it is our turn, as a reload may have changed them."""
        async with self._loading_lock:
            by_name = self._wanted if apps is None else apps
            await self._publisher.change(by_name)
            self._apps, self._wanted = dict(by_name), by_name
            self._published = True

    async def _switch_by_marker(self, settings: AppSettings, to: Slot) -> tuple[str, ...]:
        before = self._planner.traffic(settings.name)
        try:
            confirmed, warnings = await self._soon(self._move_marker, settings, to)
        except OSError as error:
            raise disk_error(f"the traffic of {settings.name} was not moved", error) from error
        try:
            if not confirmed:
                await self._confirmation.until(
                    settings.name,
                    lambda answer: answer.serves(settings.name, to),
                    what=f"{settings.name} is served by {to}",
                    timeout=MARKER_TIMEOUT,
                )
        except TrafficError:
            await self._restore(settings, before)
            raise
        if settings.name not in self._remembering:  # else what it will read is this
            self._remembering[settings.name] = asyncio.create_task(
                self._remember(settings), name=f"remember {settings.name}"
            )
        return warnings

    def _move_marker(self, settings: AppSettings, to: Slot) -> tuple[bool, tuple[str, ...]]:
        """Whether nginx has confirmed it at once, and warnings; in one visit to a thread.

        Raises OSError or TrafficError with the marker where it was.
        """
        self._expect_served(settings.name)
        markers = self._planner.markers(settings.name)
        warnings: tuple[str, ...] = ()
        try:
            markers.switch(to)
        except OSError as error:
            # Renamed and not flushed: nginx reads it all the same, and to rename it back would
            # ask the same disk for more.
            if markers.present() != [to]:
                raise
            warnings = (self._warn(settings.name, error),)
        try:
            return self._confirmation.ask_now(settings.name).serves(settings.name, to), warnings
        except TrafficError:
            return False, warnings  # it is asked again, and an error then

    def _warn(self, app: str, error: OSError) -> str:
        log.warning("%s", text := unsafe(app, error), extra={"app": app})
        return text

    async def _remember(self, settings: AppSettings) -> None:
        """Have the file that repeats the marker follow it.

        A full disk does not hinder a switch: the file only matters should the marker get lost.
        """
        try:
            await asyncio.sleep(REMEMBERED_AFTER)
        finally:
            del self._remembering[settings.name]
        try:
            await self._soon(self._planner.remember, settings)
        except (OSError, TrafficError) as error:
            log.warning(
                "%s: what repeats the marker could not be rewritten (%s); the marker decides",
                settings.name, error, extra={"app": settings.name},
            )  # fmt: skip

    async def _all_remembered(self, apps: Iterable[str]) -> None:
        if under_way := [self._remembering[app] for app in apps if app in self._remembering]:
            await asyncio.wait(under_way)

    async def _soon(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """``work`` in a thread of our own: a switch waits for nothing that others do in threads."""
        call = functools.partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def _switch_by_reload(self, settings: AppSettings, to: Slot) -> tuple[str, ...]:
        async with self._loading_lock:
            await asyncio.to_thread(self._expect_served, settings.name)
            before = self._planner.traffic(settings.name)
            wanted = Traffic(active=to, closed=before.closed and before.active is not None)
            await self._load_traffic(settings, before, wanted)
        return ()

    async def _load_traffic(self, settings: AppSettings, before: Traffic, wanted: Traffic) -> None:
        """Let nginx load files that say ``wanted``, the marker with them."""
        await self._publisher.change(
            {**self._apps, settings.name: settings},
            Move(app=settings.name, before=before, wanted=wanted),
        )
        self._apps[settings.name] = settings

    async def _set_closed(self, settings: AppSettings, closed: bool) -> None:
        name = settings.name
        await asyncio.to_thread(self._expect_served, name)
        before = self._planner.traffic(name)
        if before.active is None and not closed:
            raise TrafficError(
                f"{name} has never been deployed: there is nothing to open",
                remedy=f"bluegreen deploy {name} VERSION",
            )
        wanted = Traffic(active=before.active, closed=closed)
        if settings.nginx.mode == "upstream" and settings.nginx.switch is SwitchMode.RELOAD:
            async with self._loading_lock:
                await self._load_traffic(settings, before, wanted)
            return
        markers = self._planner.markers(name)
        try:
            await asyncio.to_thread(markers.close if closed else markers.open)
        except OSError as error:
            if self._planner.traffic(name) != wanted:
                what = f"{name} was not {'closed' if closed else 'opened'}"
                raise disk_error(what, error) from error
            self._warn(name, error)
        try:
            await self._confirmation.until(
                name,
                lambda answer: answer.app == name and answer.closed == closed,
                what=f"{name} is {'out of' if closed else 'in'} service",
                timeout=MARKER_TIMEOUT,
            )
        except TrafficError:
            await self._restore(settings, before)
            raise

    async def _hand_back(self, settings: AppSettings) -> None:
        name = settings.name
        await asyncio.to_thread(self._expect_served, name)
        before = self._planner.traffic(name)
        first = Traffic(active=None, closed=True)
        try:
            await asyncio.to_thread(self._planner.restore_marker, settings, first)
        except OSError as error:
            if self._planner.traffic(name) != first:
                what = f"the traffic of {name} was not handed back"
                raise disk_error(what, error) from error
            self._warn(name, error)
        try:
            await self._confirmation.until(
                name,
                lambda answer: answer.app == name and answer.closed,
                what=f"what {name} replaces serves",
                timeout=MARKER_TIMEOUT,
            )
        except TrafficError:
            await self._restore(settings, before)
            raise

    async def _agree(self, settings: AppSettings) -> None:
        name = settings.name
        await self._all_remembered([name])
        async with self._loading_lock:
            traffic = self._planner.traffic(name)
            try:
                await asyncio.to_thread(self._planner.repair_markers, name, traffic)
            except OSError as error:
                raise disk_error(f"the markers of {name} were not mended", error) from error
            answer = await self._answer(name)  # of the markers as they are now
            if answer is not None and await asyncio.to_thread(
                self._planner.is_served, settings, traffic, answer
            ):
                return
            await self._publisher.change({**self._apps, name: settings})
            self._apps[name] = settings
        await self._confirmation.until(
            name,
            lambda answer: (
                answer.app == name
                and answer.closed == traffic.closed
                and traffic.active in (None, answer.slot)
            ),
            what=f"{name} is served as its marker says ({traffic.active or 'no slot'})",
            timeout=MARKER_TIMEOUT,
        )

    async def _answer(self, app: str) -> Answer | None:
        """What nginx says of ``app``; None when it is down or does not know it."""
        try:
            answer = await self._confirmation.ask(app)
        except TrafficError:
            return None
        return answer if answer.app == app else None

    def _expect_served(self, app: str) -> None:
        """Raises TrafficError unless nginx answers and has loaded ``app``. Blocking."""
        answer = self._confirmation.ask_now(app)
        if answer.app != app:
            raise TrafficError(
                f"nginx has not loaded {app}",
                detail=[f"nginx says: {answer}"],
                remedy="see that nginx includes bluegreen's files, then: "
                f"{self._layout.remedies.take_up}",
            )

    async def _restore(self, settings: AppSettings, traffic: Traffic) -> None:
        try:
            await asyncio.to_thread(self._planner.restore_marker, settings, traffic)
        except OSError as error:
            named = {"app": settings.name}
            log.error("the marker of %s was not put back: %s", settings.name, error, extra=named)
