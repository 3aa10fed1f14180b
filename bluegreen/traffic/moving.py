"""Traffic that is moved by a marker: it is renamed, and nginx confirms that it has seen that."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from bluegreen.config.settings import AppSettings
from bluegreen.errors import TrafficError
from bluegreen.model import Share, Slot, Traffic
from bluegreen.traffic.confirmation import Answer, Confirmation
from bluegreen.traffic.disk import disk_error, unsafe
from bluegreen.traffic.plan import Planner

log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")

SWITCHES_AT_ONCE = 8  # more wait for their turn, of a millisecond each
MARKER_TIMEOUT = 5.0  # seconds until nginx says what a marker says
REMEMBERED_AFTER = 0.02  # seconds: whoever asked for a switch has the answer first


class Moving:
    """The markers of all apps of one root."""

    def __init__(self, planner: Planner, confirmation: Confirmation) -> None:
        self._planner = planner
        self._confirmation = confirmation
        self._threads = ThreadPoolExecutor(SWITCHES_AT_ONCE, "switch")
        self._remembering: dict[str, asyncio.Task[None]] = {}  # about to read the marker
        self._rewriting: dict[str, set[asyncio.Task[None]]] = {}  # until it is written

    async def end(self) -> None:
        """Let go, with all that repeats the markers written."""
        await self.all_remembered([*self._rewriting])
        self._threads.shutdown(wait=False)

    async def switch(self, settings: AppSettings, to: Slot) -> tuple[str, ...]:
        """See `TrafficControl.switch`."""
        before = self._planner.traffic(settings.name)
        try:
            confirmed, warnings = await self._soon(self._move_marker, settings, to)
        except OSError as error:
            raise disk_error(f"the traffic of {settings.name} was not moved", error) from error
        if not confirmed:
            await self._confirm(
                settings,
                before,
                lambda answer: answer.serves(settings.name, to),
                what=f"{settings.name} is served by {to}",
            )
        if settings.name not in self._remembering:  # else what it will read is this
            task = asyncio.create_task(self._remember(settings), name=f"remember {settings.name}")
            self._remembering[settings.name] = task
            under_way = self._rewriting.setdefault(settings.name, set())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        return warnings

    def _move_marker(self, settings: AppSettings, to: Slot) -> tuple[bool, tuple[str, ...]]:
        """Whether nginx has confirmed it at once, and warnings; in one visit to a thread.

        Raises OSError or TrafficError with the marker where it was.
        """
        self._confirmation.expect_served(settings.name)
        markers = self._planner.markers(settings.name)
        warnings: tuple[str, ...] = ()
        try:
            markers.switch(to)
            markers.end_share()  # after it: nobody who is on the new slot leaves it in between
        except OSError as error:
            # Renamed and not flushed: nginx reads it all the same, and to rename it back would
            # ask the same disk for more.
            share = markers.share
            if markers.present() != [to] or (share is not None and share.slot is not to):
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

    async def all_remembered(self, apps: Iterable[str]) -> None:
        """Wait until what repeats the markers of ``apps`` is written."""
        if under_way := [task for app in apps for task in self._rewriting.get(app, ())]:
            await asyncio.wait(under_way)

    async def _soon(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """``work`` in a thread of our own: a switch waits for nothing that others do in threads."""
        call = functools.partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def share(self, settings: AppSettings, share: Share) -> None:
        """See `TrafficControl.share`."""
        name, markers = settings.name, self._planner.markers(settings.name)
        await asyncio.to_thread(self._confirmation.expect_served, name)
        try:
            await self._soon(markers.grow_share, share)
        except OSError as error:
            raise disk_error(f"no clients of {name} were led to {share.slot}", error) from error
        await self._confirmation.until(
            name, lambda answer: answer.app == name and answer.share is share.slot,
            what=f"{share.percent} % of the clients of {name} go to {share.slot}",
            timeout=MARKER_TIMEOUT, client=share.percent,
        )  # fmt: skip

    async def end_share(self, settings: AppSettings) -> tuple[str, ...]:
        """See `TrafficControl.end_share`."""
        name, markers = settings.name, self._planner.markers(settings.name)
        try:
            await self._soon(markers.end_share)
        except OSError as error:
            if markers.share is not None:
                raise disk_error(f"clients of {name} were not led back", error) from error
            return (self._warn(name, error),)
        try:
            await self._confirmation.until(
                name, lambda answer: answer.app == name and answer.share is None,
                what=f"all clients of {name} go to one slot",
                timeout=MARKER_TIMEOUT, client=1,
            )  # fmt: skip
        except TrafficError as error:
            return (f"{error.message}; {error.remedy}",)
        return ()

    async def set_closed(self, settings: AppSettings, before: Traffic, wanted: Traffic) -> None:
        """Take the app out of service or into it. Raises TrafficError, with all as ``before``."""
        name, closed = settings.name, wanted.closed
        markers = self._planner.markers(name)
        with self._to_be(name, wanted, f"{name} was not {'closed' if closed else 'opened'}"):
            await asyncio.to_thread(markers.close if closed else markers.open)
        await self._confirm(
            settings,
            before,
            lambda answer: answer.app == name and answer.closed == closed,
            what=f"{name} is {'out of' if closed else 'in'} service",
        )

    async def mark_closed(self, app: str, closed: bool) -> None:
        """Let the marker say so, whatever nginx does. Raises TrafficError where it cannot."""
        markers = self._planner.markers(app)
        try:
            await asyncio.to_thread(markers.close if closed else markers.open)
        except OSError as error:
            raise disk_error(f"{app} was not {'closed' if closed else 'opened'}", error) from error

    async def hand_back(self, settings: AppSettings) -> None:
        """See `TrafficControl.hand_back`."""
        name = settings.name
        await asyncio.to_thread(self._confirmation.expect_served, name)
        before = self._planner.traffic(name)
        first = Traffic(active=None, closed=True)
        with self._to_be(name, first, f"the traffic of {name} was not handed back"):
            await asyncio.to_thread(self._planner.restore_marker, settings, first)
        await self._confirm(
            settings,
            before,
            lambda answer: answer.app == name and answer.closed,
            what=f"what {name} replaces serves",
        )

    @contextlib.contextmanager
    def _to_be(self, app: str, wanted: Traffic, failed: str) -> Iterator[None]:
        """Within it the disk may refuse: TrafficError, unless the markers say ``wanted`` then."""
        try:
            yield
        except OSError as error:
            if self._planner.traffic(app) != wanted:
                raise disk_error(failed, error) from error
            self._warn(app, error)

    async def _confirm(
        self,
        settings: AppSettings,
        before: Traffic,
        agrees: Callable[[Answer], bool],
        *,
        what: str,
    ) -> None:
        """Raises TrafficError, with the marker as ``before``, unless nginx sees where it is."""
        try:
            await self._confirmation.until(settings.name, agrees, what=what, timeout=MARKER_TIMEOUT)
        except TrafficError:
            await self._restore(settings, before)
            raise

    async def _restore(self, settings: AppSettings, traffic: Traffic) -> None:
        try:
            await asyncio.to_thread(self._planner.restore_marker, settings, traffic)
        except OSError as error:
            named = {"app": settings.name}
            log.error("the marker of %s was not put back: %s", settings.name, error, extra=named)
