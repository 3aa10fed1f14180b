"""The command probe: a command of the release's own, run in its tree."""

from __future__ import annotations

import asyncio
import itertools
import shlex
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.placeholders import expand
from bluegreen.config.questions import CommandProbe
from bluegreen.config.secrets import redact
from bluegreen.health.answer import Answer, refused, shorten
from bluegreen.health.target import Target
from bluegreen.log_tail import tail
from bluegreen.model import Job

_number = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a command ended: ``ok`` is exit status 0; ``text`` says it with the last line."""

    ok: bool
    text: str
    last_line: str


async def ask_command(
    probe: CommandProbe, target: Target, service: str, label: str, timeout: float
) -> Answer:
    """Run the command; it passes with exit status 0, within ``timeout`` seconds.

    Raises as `run_in_tree` does.
    """
    ran = await run_in_tree(probe.run, target, service, label, timeout)
    return Answer(passed=True, text=shorten(ran.text)) if ran.ok else refused(ran.text)


async def run_in_tree(
    command: str, target: Target, service: str, label: str, timeout: float
) -> Ran:
    """Run a command of the release's in its tree, with the service's variables.

    No shell is involved. Its output is appended to ``PHASE-SERVICE-LABEL.log``. Raises UsageError
    for an unknown placeholder, SupervisorError when it cannot be started.
    """
    name = f"{service}-{label}"  # both checked names, so fit for a file name
    log_file = target.logs / f"{target.phase}-{name}.log"
    environment = target.environment[service]
    words = [expand(part, target.values[service]) for part in shlex.split(command)]
    job = Job(
        app=target.app,
        name=f"{target.app}-{target.slot}-{target.phase}-{name}-{next(_number)}",
        argv=environment.command(words),
        cwd=target.tree,
        env=environment.variables,
        timeout=timeout,
        log_file=log_file,
    )
    before = await asyncio.to_thread(_size, log_file)
    result = await target.jobs.run(job)
    [last] = redact([await asyncio.to_thread(_last_line, log_file, before)], job.env)
    text = f"{result.ending}: {last}" if last else result.ending
    return Ran(ok=result.ok, text=text, last_line=last)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _last_line(path: Path, start: int) -> str:
    """The last line with text that was written after ``start`` bytes; "" if there is none."""
    lines = reversed(tail(path, since=start))
    return next((line for line in lines if line.strip()), "")
