"""A gate's refusal with its evidence: what failed, and what the service itself said."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bluegreen.config.secrets import redact
from bluegreen.errors import BluegreenError, GateError
from bluegreen.health.target import Target
from bluegreen.model import UnitKey

NOTHING_SWITCHED = "Nothing was switched. "
LOG_LINES = 15  # of each failing instance of a service …
LOGS = 8  # … of so many
STOPPED = "--- bluegreen: stopped"  # how a supervisor's line in the log begins
LOG_TIMEOUT = 5.0  # seconds


async def refusal(
    target: Target, message: str, *, keys: Sequence[UnitKey], also: Sequence[str] = (), outcome: str
) -> GateError:
    """The error to raise. Its detail: ``also``, then the last log lines of the instances ``keys``.

    ``outcome`` says what became of the traffic, and begins the remedy.
    """
    detail = [f"also: {line}" for line in also]
    for key in list(dict.fromkeys(keys))[:LOGS]:
        detail += [f"{target.name(key)} | {line}" for line in await _log_tail(target, key)]
    named = list(dict.fromkeys(key.service for key in keys))
    logs = " and ".join(f"`bluegreen logs {target.app} --service {name}`" for name in named)
    logs = logs or f"`bluegreen status {target.app}`"
    remedy = f"{outcome}Read {logs}, mend the release and deploy it again."
    return GateError(
        f"{target.app} {target.version} in {target.slot}: {message}", remedy=remedy, detail=detail
    )


async def _log_tail(target: Target, key: UnitKey) -> list[str]:
    try:
        async with asyncio.timeout(LOG_TIMEOUT):
            lines = await target.view.log_tail(key, LOG_LINES)
    except TimeoutError:
        return [f"(its log could not be read within {LOG_TIMEOUT:g} s)"]
    except (BluegreenError, OSError) as error:
        return [f"(its log could not be read: {error})"]
    # What came before it was last stopped on request is of an earlier release.
    stops = [index for index, line in enumerate(lines) if line.startswith(STOPPED)]
    own = lines[stops[-1] + 1 if stops else 0 :]
    return redact(own, target.environment[key.service].variables) or ["(it has logged nothing)"]
