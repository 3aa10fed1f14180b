"""An operation as nginx tells of its requests: told on to who looks, and judged in the watch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from bluegreen.health.metric import Measuring
from bluegreen.health.refusal import refusal
from bluegreen.health.target import Target
from bluegreen.health.watch import keep_watch
from bluegreen.model import PhaseName, Slot
from bluegreen.operations.run import Run
from bluegreen.processes import uninterrupted
from bluegreen.watching.judging import Before, Judge
from bluegreen.watching.service import Watching
from bluegreen.watching.tally import Tally

TOLD_EVERY = 1.0  # seconds


@contextlib.asynccontextmanager
async def told(run: Run, watching: Watching) -> AsyncIterator[None]:
    """Within it nginx tells of the app's requests, where the operation is one that is watched.

    From its beginning on: what the release is compared with has come before it.
    """
    if not run.operation.kind.is_release:
        yield
        return
    run.recording = await watching.begin(run.app.settings)
    telling = asyncio.create_task(_tell_on(run), name=f"requests of {run.app.name} told on")
    try:
        yield
    finally:
        # Else nginx would go on telling of it, and somebody listening.
        await uninterrupted(_end(run, watching, telling), name=f"end of requests of {run.app.name}")


async def _end(run: Run, watching: Watching, telling: asyncio.Task[None]) -> None:
    telling.cancel()
    await asyncio.wait([telling])
    if run.recording is not None:
        await watching.end(run.recording)


async def keep_watched(run: Run, seconds: float) -> dict[str, Any]:
    """Watch the operation's target for ``seconds``: by probes, processes, requests and metrics.

    What is recorded of it. Raises GateError as soon as it is worse than is allowed, or at the end
    where it could not be judged and the app file says that this is a failure. May be called again
    with a larger share of the traffic: what came before the first call is what it is compared with.
    """
    app = run.app
    watch = app.settings.watch
    # Exclusive services come with the traffic, and not to an app that is out of service.
    traffic = app.parts.traffic.read(app.name)
    whole = traffic.active is run.target and not traffic.closed
    target = await asyncio.to_thread(app.target, run.target, run.logs, whole=whole)
    judge = run.judge = _judge(run)
    run.judged_until = asyncio.get_running_loop().time() + seconds
    try:
        async with Measuring(target, watch) as measuring:
            await keep_watch(
                target, watch, app.settings.watch_probes,
                seconds=seconds, on_result=run.on_probe, judge=judge, measuring=measuring,
            )  # fmt: skip
            await _at_the_end(run, target, measuring)
    finally:
        run.judge = None
    said = _unjudged(judge, measuring, has_limits=watch.has_limits)
    figures = {} if judge is None else judge.outcome()
    return {"judged": not said, "said": "; ".join(said) or None, **figures}


async def _at_the_end(run: Run, target: Target, measuring: Measuring) -> None:
    """Raises GateError for what is worse on the whole, or could not be judged and has to be."""
    judge, watch = run.judge, run.app.settings.watch
    if judge is not None and (worse := judge.worse_at_the_end()) is not None:
        raise await refusal(target, worse.why, keys=target.keys(worse.services), outcome="")
    for said in _unjudged(judge, measuring, has_limits=watch.has_limits):
        if watch.on_few == "fail":
            raise await refusal(target, f'{said}, and on_few is "fail"', keys=[], outcome="")
        await run.note("warning", message=f"not judged: {said}")


def _unjudged(judge: Judge | None, measuring: Measuring, *, has_limits: bool) -> list[str]:
    """What the release was to be judged by and could not be, in words."""
    said = list(measuring.unknown())
    if judge is not None and (few := judge.too_few()) is not None:
        said.insert(0, few)
    elif judge is None and has_limits:
        said.insert(0, "nginx cannot tell of its requests")
    return said


def _judge(run: Run) -> Judge | None:
    if run.recording is None:
        return None
    return Judge(run.app.settings.watch, run.recording, run.target, what_was_before(run))


def what_was_before(run: Run) -> Before | None:
    """What the slot did that served before, until this was first asked."""
    if run.before is None and run.recording is not None and run.origin is not None:
        tally = run.recording.of(run.origin)
        run.before = Before.of(tally) if tally.requests else None
    return run.before


async def _tell_on(run: Run) -> None:
    """An event a second with what came in it, from the gate on; of nobody's visits, none."""
    if run.recording is None:
        return
    clock = asyncio.get_running_loop().time
    began = clock()
    while True:
        await asyncio.sleep(TOLD_EVERY)
        now = clock()
        counts = run.recording.untold()
        # A person may be waited for all day.
        stands = run.promotion is not None and run.promotion.phase is PhaseName.PROMOTE
        if counts and PhaseName.GATE in run.recorded and not stands:
            await run.note("watch", **_event(run, counts, now - began, now))
        began = now


def _event(run: Run, counts: Mapping[Slot, Tally], seconds: float, now: float) -> dict[str, Any]:
    judge = run.judge
    judged = None
    if judge is not None:
        judged = {**judge.figures(now), "left": max(0.0, run.judged_until - now)}
    return {
        "seconds": seconds,
        "serves": run.app.active,
        "slots": {slot: _counted(tally) for slot, tally in counts.items()},
        "judged": judged,
    }


def _counted(tally: Tally) -> dict[str, Any]:
    return {
        "requests": tally.requests, "failed": tally.failed, **tally.counts, "gone": tally.gone,
        "unreachable": tally.unreachable,
        "p50": tally.quantile(0.5), "p99": tally.quantile(0.99),
    }  # fmt: skip
