"""The apps whose requests nginx tells of just now, and what has come of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from bluegreen.config.settings import AppSettings
from bluegreen.errors import TrafficError
from bluegreen.layout import Layout
from bluegreen.model import Slot
from bluegreen.processes import tell_if_failed
from bluegreen.traffic.control import TrafficControl
from bluegreen.traffic.telling import can_tell
from bluegreen.watching.line import Seen, parse
from bluegreen.watching.receiver import Receiver
from bluegreen.watching.recording import LOOK, Recording
from bluegreen.watching.tally import Tally

log = logging.getLogger(__name__)


class Watching:
    """Of all apps. ``strange`` counts datagrams that were none of nginx's."""

    def __init__(self, layout: Layout, traffic: TrafficControl) -> None:
        self._layout = layout
        self._traffic = traffic
        self._receiver = Receiver(layout.watch_socket)
        self._recordings: dict[str, Recording] = {}
        self._totals: dict[tuple[str, Slot], Tally] = {}
        self._looking: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()  # what is told, and who listens
        self._nonsense = 0

    @property
    def totals(self) -> Mapping[tuple[str, Slot], Tally]:
        """All that came since the daemon began, by app and slot."""
        return self._totals

    @property
    def strange(self) -> int:
        return self._receiver.strange + self._nonsense

    def open(self) -> None:
        """Without the socket nothing is told, and everything else goes on."""
        try:
            self._receiver.open(for_all=self._layout.is_whole)
        except OSError as error:
            log.error("requests cannot be watched: %s: %s", self._layout.watch_socket, error)

    async def take_over(self, app: str) -> None:
        """At a start: have nginx be silent of an app that an earlier daemon has left watched."""
        await self._silence(app)

    async def begin(self, settings: AppSettings) -> Recording | None:
        """Have nginx tell of an app, until `end`. None where it cannot, or is not to."""
        if not (settings.watch.requests and can_tell(settings) and self._receiver.is_open):
            return None
        name = settings.name
        now = asyncio.get_running_loop().time()
        recording = Recording(app=name, window=settings.watch.window, began=now)
        async with self._changing:
            self._receiver.listen(await asyncio.to_thread(lambda: self._traffic.senders))
            self._recordings[name] = recording
            if self._looking is None:
                self._looking = asyncio.create_task(self._look(), name="look at requests")
                self._looking.add_done_callback(tell_if_failed)
            try:
                await self._traffic.tell_of_requests(name, True)
            except TrafficError as error:
                why = error.message
                log.error("%s is watched without its requests: %s", name, why, extra={"app": name})
                self._forget(name)
                return None
        return recording

    async def end(self, recording: Recording) -> None:
        """Have nginx be silent of the app again, unless the next operation is told of it by now."""
        async with self._changing:
            if self._recordings.get(recording.app) is not recording:
                return
            await self._silence(recording.app)
            self._forget(recording.app)

    def _forget(self, app: str) -> None:
        """With the last one nobody listens any more."""
        del self._recordings[app]
        if not self._recordings:
            self._receiver.listen(frozenset())
            if self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def close(self) -> None:
        """After the last operation has ended."""
        for recording in list(self._recordings.values()):
            await self.end(recording)
        await asyncio.to_thread(self._receiver.close)

    async def _silence(self, app: str) -> None:
        try:
            await self._traffic.tell_of_requests(app, False)
        except TrafficError as error:
            log.error(
                "nginx tells of requests of %s on: %s", app, error.message, extra={"app": app}
            )

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(LOOK)
            self._sort(self._receiver.take(), clock())

    def _sort(self, datagrams: list[bytes], now: float) -> None:
        by_app: dict[str, list[Seen]] = {}
        for datagram in datagrams:
            seen = parse(datagram)
            if seen is None:
                self._nonsense += 1
            elif seen.app in self._recordings:  # else it was on its way as that ended
                by_app.setdefault(seen.app, []).append(seen)
                self._totals.setdefault((seen.app, seen.slot), Tally()).add(seen)
        for app, ones in by_app.items():
            self._recordings[app].add(ones, now)
