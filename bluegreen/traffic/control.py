"""Moves an app's traffic, and knows from nginx that it has moved."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from bluegreen.config.settings import AppSettings
from bluegreen.durations import Durations
from bluegreen.errors import TrafficError
from bluegreen.layout import Layout
from bluegreen.model import Hold, Share, Slot, SwitchMode, Traffic
from bluegreen.processes import uninterrupted
from bluegreen.traffic.build import installed_build
from bluegreen.traffic.confirmation import Answer, Confirmation
from bluegreen.traffic.disk import disk_error
from bluegreen.traffic.gate import Gate, HostGate, OwnGate
from bluegreen.traffic.holding import Holding
from bluegreen.traffic.loading import Loading
from bluegreen.traffic.markers import Stamp
from bluegreen.traffic.moving import MARKER_TIMEOUT, Moving
from bluegreen.traffic.own_nginx import OwnNginx
from bluegreen.traffic.plan import Planner
from bluegreen.traffic.publishing import HostPublisher, Move, OwnPublisher, Publisher
from bluegreen.traffic.telling import senders

AGAIN = 0.1  # seconds between looks at an nginx that does not answer
_HOLD_BOUNDS = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)  # seconds


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
        self._opened: tuple[Planner, Publisher, Holding, Moving] | None = None
        self._gate: Gate = OwnGate(layout) if own_nginx else HostGate(layout)
        # What nginx is to serve, and whether it was ever brought to.
        self._wanted: Mapping[str, AppSettings] = {}
        self._published = False
        # By app, of each hold that was lifted since the start.
        self.held_for = defaultdict[str, Durations](lambda: Durations(_HOLD_BOUNDS))

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
        self._opened = planner, publisher, holding, Moving(planner, self._confirmation)
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
                    await asyncio.to_thread(self._confirmation.expect_served, app)
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
        addresses = (
            address for one in services for slot in Slot for address in one.addresses(slot, Path())
        )
        return frozenset(one.port for one in addresses if one.port is not None)

    def read(self, app: str) -> Traffic:
        """Where the markers say that the app's traffic goes."""
        return self._planner.traffic(app)

    def stamp(self, app: str) -> Stamp | None:
        """What was taken before a ``read`` says later whether it is still true; see `Markers`."""
        return self._planner.markers(app).stamp()

    def is_as_of(self, app: str, stamp: Stamp) -> bool:
        """Whether ``read`` would say what it said after that stamp was taken, in half its time."""
        return self._planner.markers(app).are_as_of(stamp)

    async def switch(self, settings: AppSettings, to: Slot) -> tuple[str, ...]:
        """Move the traffic to ``to`` and have nginx confirm it; the first switch opens the site.

        Returns what an operator should know of it. Raises TrafficError with everything as it was.
        """
        if settings.nginx.switch is SwitchMode.RELOAD:
            work = self._switch_by_reload(settings, to)
        else:
            work = self._moving.switch(settings, to)
        return await uninterrupted(work, name=f"switch {settings.name}")

    async def share(self, settings: AppSettings, share: Share) -> None:
        """Let so many percent of the clients go to a slot, more than before; nginx confirms it.

        Whose share it is stays so while it grows. Raises TrafficError: some may go there.
        """
        await uninterrupted(self._moving.share(settings, share), name=f"share {settings.name}")

    async def end_share(self, settings: AppSettings) -> tuple[str, ...]:
        """Let all clients go to the slot of the marker again, at once; warnings.

        Raises TrafficError where the disk does not let it be so.
        """
        ending = self._moving.end_share(settings)
        return await uninterrupted(ending, name=f"end of the share of {settings.name}")

    async def set_closed(
        self, settings: AppSettings, closed: bool, *, in_any_case: bool = False
    ) -> None:
        """Take the app out of service (503) or into it again, confirmed by nginx.

        Raises TrafficError with everything as it was; or, ``in_any_case``, with what the marker
        says as it is wanted, for nginx to read once it serves.
        """
        try:
            work = self._set_closed(settings, closed)
            await uninterrupted(work, name=f"close {settings.name}")
        except TrafficError:
            if in_any_case:
                await self._moving.mark_closed(settings.name, closed)
            raise

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

    def require_holdable(self, settings: AppSettings) -> None:
        """Raises RefusedError where this nginx cannot hold the app's requests, or not as it is."""
        self._holding.require_holdable(settings)

    async def lift_hold(self, settings: AppSettings) -> Hold:
        """Let the requests through that are held; whose hold it was. They need a moment.

        Raises RefusedError where they are not held, and TrafficError: they are held on.
        """
        hold = await uninterrupted(self._holding.lift(settings), name=f"lift {settings.name}")
        self.held_for[settings.name].observe(time.time() - hold.since)
        return hold

    async def waiting(self, app: str) -> int:
        """How many of its requests are held now. Raises TrafficError."""
        return (await self._gate.ask(app)).waiting

    async def until_let_through(self, settings: AppSettings) -> None:
        """Return when none waits any more, after `lift_hold`; it takes 65 s at the most.

        Raises TrafficError where nginx or the gate does not say so.
        """
        await self._holding.until_let_through(settings)

    async def tell_of_requests(self, app: str, told: bool) -> None:
        """Have nginx tell of each of the app's requests, or be silent. Raises TrafficError."""
        markers = self._planner.markers(app)
        try:
            await asyncio.to_thread(markers.tell_of_requests, told)
        except OSError as error:
            raise disk_error(f"whether nginx tells of {app} was not changed", error) from error

    @property
    def senders(self) -> frozenset[int]:
        """The users as whom nginx tells of requests. Blocking, and quick."""
        return senders(self._layout, own_nginx=self._own_nginx)

    async def hand_back(self, settings: AppSettings) -> None:
        """Let what the app replaces serve again, as before its first release; confirmed by nginx.

        Raises TrafficError with everything as it was.
        """
        await uninterrupted(self._moving.hand_back(settings), name=f"hand back {settings.name}")

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
        if self._opened is not None:
            await self._moving.end()

    @property
    def _parts(self) -> tuple[Planner, Publisher, Holding, Moving]:
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

    @property
    def _moving(self) -> Moving:
        return self._parts[3]

    async def _publish(self, apps: Mapping[str, AppSettings] | None) -> None:
        """None: those that are wanted once it is our turn, as a reload may have changed them."""
        async with self._loading_lock:
            by_name = self._wanted if apps is None else apps
            await self._publisher.change(by_name)
            self._apps, self._wanted = dict(by_name), by_name
            self._published = True

    async def _switch_by_reload(self, settings: AppSettings, to: Slot) -> tuple[str, ...]:
        async with self._loading_lock:
            await asyncio.to_thread(self._confirmation.expect_served, settings.name)
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
        await asyncio.to_thread(self._confirmation.expect_served, name)
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
        await self._moving.set_closed(settings, before, wanted)

    async def _agree(self, settings: AppSettings) -> None:
        name = settings.name
        await self._moving.all_remembered([name])
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
