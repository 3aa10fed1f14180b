"""The gate: what a release must pass, in its slot, before it gets traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bluegreen.config.settings import Gate
from bluegreen.errors import GateError
from bluegreen.health.answer import seconds
from bluegreen.health.probing import Probing, Track, with_implied
from bluegreen.health.refusal import NOTHING_SWITCHED, refusal
from bluegreen.health.restarts import Restarts
from bluegreen.health.target import Target
from bluegreen.model import ProbeResult

STATUS_POLL = 0.1  # seconds between looks at whether the services run
FIRST_PAUSE = 0.05  # seconds after the first attempt
PAUSE_GROWTH = 1.2  # so that an answer is noticed late by a sixth of the start, not by an interval


async def pass_gate(
    target: Target,
    gate: Gate,
    *,
    healthy_for: float | None = None,
    on_result: Callable[[ProbeResult], None],
) -> None:
    """Return once every probe has passed for ``healthy_for`` seconds on end (default: the gate's).

    The time counts from the instant at which all probes pass; one failure starts it again, and at
    its end each probe has to pass once more. With 0 one pass of each is enough. Raises GateError
    when ``gate.deadline`` is over, and at once when a service ends or restarts.
    """
    window = gate.healthy_for if healthy_for is None else healthy_for
    clock = asyncio.get_running_loop().time
    began = clock()
    deadline = began + gate.deadline
    restarts = Restarts(target)
    probes = with_implied(target, gate.probes)
    async with Probing(target, probes, pause=_pause, on_result=on_result) as probing:
        while True:
            if (fall := await restarts.fall_with_cause()) is not None:
                raise await refusal(target, fall.what, keys=[fall.key], outcome=NOTHING_SWITCHED)
            now = clock()
            end = _window_end(probing.tracks, began, window)
            if end is not None and now >= end:
                if window == 0 or all(_passed_after(track, end) for track in probing.tracks):
                    return
                probing.hurry()
            if now >= deadline:
                raise await _too_late(target, gate, window, probing.tracks, now - began)
            look_at = deadline if end is None or now >= end else min(end, deadline)
            await probing.changed(min(STATUS_POLL, look_at - now))


def _pause(track: Track) -> float:
    interval = track.probe.interval
    if track.passed_at is not None:
        return interval
    # A long start must not become too large a power; the interval is reached long before.
    growth = PAUSE_GROWTH ** min(track.attempts - 1, 100)
    return min(interval, FIRST_PAUSE * growth)


def _window_end(tracks: list[Track], began: float, window: float) -> float | None:
    """When it will have been healthy for ``window`` seconds; None while a probe does not pass."""
    since = began
    for track in tracks:
        if track.passing_since is None:
            return None
        since = max(since, track.passing_since)
    return since + window


def _passed_after(track: Track, instant: float) -> bool:
    return track.passed_at is not None and track.passed_at >= instant


async def _too_late(
    target: Target, gate: Gate, window: float, tracks: list[Track], tried_for: float
) -> GateError:
    over = f"not healthy within {seconds(gate.deadline)}: "
    failing = [track for track in tracks if track.passing_since is None]
    # All pass now, but not for long enough: those that failed in between are to blame.
    failing = failing or [track for track in tracks if track.failures and track.attempts > 1]
    lines = [track.describe(tried_for) for track in failing]
    if not lines:
        return await refusal(
            target,
            f"{over}every probe passes, but not yet for {seconds(window)}; "
            "gate.deadline is too short for gate.healthy_for",
            keys=target.keys(target.services),
            outcome=NOTHING_SWITCHED,
        )
    return await refusal(
        target,
        over + lines[0],
        keys=[key for track in failing for key in track.blamed],
        also=lines[1:],
        outcome=NOTHING_SWITCHED,
    )
