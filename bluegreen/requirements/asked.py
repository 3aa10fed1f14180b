"""Has commands asked, as a job: by the user and in the environment that what needs them has."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bluegreen.config.environment import ProcessEnvironment
from bluegreen.config.secrets import redact
from bluegreen.errors import PreflightError
from bluegreen.log_tail import tail
from bluegreen.model import Job
from bluegreen.requirements.asking import Answer, parse
from bluegreen.slots.building import last_lines
from bluegreen.supervisors.interface import JobRunner

LIMIT = 50.0  # seconds for all of them


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Where an app's commands are asked, and by whom; ``purpose`` makes a job's name."""

    app: str
    purpose: str
    jobs: JobRunner
    environment: ProcessEnvironment
    cwd: Path
    log: Path

    async def ask(self, commands: Sequence[Sequence[str]]) -> list[Answer]:
        """An answer a command. Raises SupervisorError, and PreflightError where that cannot be."""
        asking = (sys.executable, "-I", "-m", "bluegreen.requirements.asking", json.dumps(commands))
        job = Job(
            app=self.app,
            # Several plans may ask at a time.
            name=f"{self.app}-{self.purpose}-{secrets.token_hex(4)}",
            argv=self.environment.command(asking),
            cwd=self.cwd,
            env=self.environment.variables,
            timeout=LIMIT,
            log_file=self.log,
        )
        result = await self.jobs.run(job)
        lines = await asyncio.to_thread(tail, job.log_file)
        answers = [answer for line in lines if (answer := parse(line)) is not None]
        if not result.ok or len(answers) != len(commands):
            raise PreflightError(
                f"{self.app}: its commands could not be asked for their versions: {result.ending}",
                detail=await asyncio.to_thread(last_lines, job.log_file, job.env),
                remedy=f"try it by hand: {' '.join(commands[0][:2])}",
            )
        said = redact([answer.said for answer in answers], job.env)
        return [replace(one, said=text) for one, text in zip(answers, said, strict=True)]
