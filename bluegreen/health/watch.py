"""The watch: a release that has traffic must stay well for a while, or it is switched back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from bluegreen.config.questions import Probe
from bluegreen.config.watch_section import Watch
from bluegreen.health.gate import STATUS_POLL
from bluegreen.health.metric import Measuring
from bluegreen.health.probing import Probing, with_implied
from bluegreen.health.refusal import refusal
from bluegreen.health.restarts import Restarts
from bluegreen.health.target import Target
from bluegreen.model import ProbeResult
from bluegreen.watching.judging import Judge


async def keep_watch(
    target: Target,
    watch: Watch,
    probes: Sequence[Probe],
    *,
    seconds: float,
    on_result: Callable[[ProbeResult], None],
    judge: Judge | None = None,
    measuring: Measuring | None = None,
) -> None:
    """Return after ``seconds``, once the last answer of each probe was a good one.

    Each probe is asked every ``watch.interval`` seconds (its own ``interval`` is the gate's).
    Where the watch has no probes of its own, services without a probe must accept connections, as
    in the gate. Raises GateError as soon as a service ends or restarts, one probe has failed
    ``watch.failures`` times in a row, ``judge`` finds the release worse than is allowed, or
    ``measuring`` a number beyond its limits.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    restarts = Restarts(target)
    asked = with_implied(target, probes) if watch.probes is None else probes
    async with Probing(
        target, asked, pause=lambda _: watch.interval, on_result=on_result
    ) as probing:
        while True:
            if (fall := restarts.fall()) is not None:
                raise await refusal(target, fall.what, keys=[fall.key], outcome="")
            now = clock()
            if judge is not None and (worse := judge.worse(now)) is not None:
                raise await refusal(target, worse.why, keys=target.keys(worse.services), outcome="")
            if measuring is not None and (beyond := measuring.beyond()) is not None:
                raise await refusal(target, beyond, keys=[], outcome="")
            for track in probing.tracks:
                if track.failures_in_a_row >= watch.failures:
                    raise await refusal(
                        target,
                        f"ill while watched, {track.failures_in_a_row} times in a row: "
                        + track.describe(now - began),
                        keys=track.blamed,
                        outcome="",
                    )
            left = began + seconds - now
            if left <= 0 and all(track.passing_since is not None for track in probing.tracks):
                return
            await probing.changed(min(STATUS_POLL, left) if left > 0 else STATUS_POLL)
