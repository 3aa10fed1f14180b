"""Probes asked over and over, each in a task of its own, and what they answered so far."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from bluegreen.config.questions import Probe, TcpProbe
from bluegreen.health.answer import seconds
from bluegreen.health.attempt import probe_once
from bluegreen.health.repeated import Repeated
from bluegreen.health.target import Target
from bluegreen.model import ProbeResult, UnitKey
from bluegreen.words import counted

HASTY_ATTEMPTS = 8  # of a probe, in its first second


class Track:
    """The answers of one probe of ``key``, an instance, or None for the service as a whole.

    ``name`` is what is asked, and ``blamed`` who is to say something should it fail. Instants are
    of the event loop's clock, in seconds.
    """

    def __init__(self, target: Target, probe: Probe, key: UnitKey | None) -> None:
        self.probe = probe
        self.key = key
        self.name = probe.service if key is None else target.name(key)
        self.blamed = target.view.keys(probe.service) if key is None else [key]
        self.attempts = 0
        self.failures = 0
        self.failures_in_a_row = 0
        self.passing_since: float | None = None  # None: the last attempt failed, or none ended
        self.passed_at: float | None = None
        self.last_failure: ProbeResult | None = None
        self.wake = asyncio.Event()

    def count(self, result: ProbeResult, at: float) -> None:
        self.attempts += 1
        if result.passed:
            self.failures_in_a_row = 0
            self.passed_at = at
            if self.passing_since is None:
                self.passing_since = at
        else:
            self.failures += 1
            self.failures_in_a_row += 1
            self.passing_since = None
            self.last_failure = result

    def describe(self, tried_for: float) -> str:
        """``service api: http /health: HTTP 503: … (failed 9 of 9 attempts in 14.9 s)``."""
        name = f"service {self.name}: {self.probe.label}"
        if self.last_failure is None:
            return f"{name}: no answer yet after {seconds(tried_for)}"
        attempts = counted(self.attempts, "attempt")
        count = f"failed {self.failures} of {attempts} in {seconds(tried_for)}"
        return f"{name}: {self.last_failure.answer} ({count})"


class Probing(Repeated):
    """Asks every probe again and again while it is entered; leaving it ends all attempts.

    Each instance of the probe's service is asked; a command, and what goes through nginx, is of the
    service as a whole.

    ``pause`` says how many seconds a probe rests after an attempt. ``on_result`` is called on the
    event loop with each result; what it raises comes out of ``changed`` or of the exit.
    """

    def __init__(
        self,
        target: Target,
        probes: Sequence[Probe],
        *,
        pause: Callable[[Track], float],
        on_result: Callable[[ProbeResult], None],
    ) -> None:
        super().__init__()
        # The app file may name services that this release was not started with.
        self.tracks = [
            Track(target, probe, key)
            for probe in probes
            if probe.service in target.services
            for key in _asked(target, probe)
        ]
        self._target = target
        self._pause = pause
        self._on_result = on_result
        self._changed = asyncio.Event()

    def _questions(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        target = self._target
        for track in self.tracks:
            name = f"probe {target.app} {target.slot} {track.name} {track.probe.label}"
            yield name, self._repeat(track)

    async def changed(self, timeout: float) -> None:
        """Wait for the next result, for ``timeout`` seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        self._changed.clear()
        self._raise_failure()

    def hurry(self) -> None:
        """Have every probe that rests asked at once."""
        for track in self.tracks:
            track.wake.set()

    async def _repeat(self, track: Track) -> None:
        try:
            await self._ask_again_and_again(track)
        finally:
            self._changed.set()  # also where it has failed, which is raised there

    async def _ask_again_and_again(self, track: Track) -> None:
        while True:
            hasty = track.attempts < HASTY_ATTEMPTS
            result = await probe_once(self._target, track.probe, key=track.key, hasty=hasty)
            track.count(result, asyncio.get_running_loop().time())
            self._on_result(result)
            self._changed.set()
            track.wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause(track)):
                    await track.wake.wait()


def _asked(target: Target, probe: Probe) -> Sequence[UnitKey | None]:
    each = probe.command is None and target.entrance is None
    return target.view.keys(probe.service) if each else [None]


def with_implied(target: Target, probes: Sequence[Probe]) -> list[Probe]:
    """``probes``, and for each service with an address but without a probe that it accepts.

    Through nginx only ``probes``: what nginx leads nobody to has passed at its own address.
    """
    if target.entrance is not None:
        return list(probes)
    probed = {probe.service for probe in probes}
    implied = [
        Probe(service=service, tcp=TcpProbe())
        for service in target.services
        if service not in probed and _listens(target, service)
    ]
    return [*probes, *implied]


def _listens(target: Target, service: str) -> bool:
    return any(target.view.address(key) is not None for key in target.view.keys(service))
