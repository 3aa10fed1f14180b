"""Having the invariants of an app asked, as a job of the app."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bluegreen.config.environment import backup_environment
from bluegreen.config.invariants import Invariant, measuring_time
from bluegreen.config.placeholders import expand_script, slot_values
from bluegreen.config.postgres_address import copy_of
from bluegreen.config.secrets import redact
from bluegreen.config.settings import AppSettings
from bluegreen.errors import GateError
from bluegreen.invariants.answering import Answer, Question, parse
from bluegreen.layout import AppLayout
from bluegreen.log_tail import tail
from bluegreen.model import Job, Slot
from bluegreen.slots.building import last_lines
from bluegreen.supervisors.interface import JobRunner

_MILLISECONDS = 1000


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is asked about one release, in ``tree``; ``operation`` is what it is asked for."""

    settings: AppSettings
    layout: AppLayout
    jobs: JobRunner
    slot: Slot
    version: str
    tree: Path
    operation: int

    async def ask(self, invariants: Sequence[Invariant], log: Path) -> list[Answer]:
        """An answer for each of them, in their order; also one with a problem.

        The app's own user asks, where it has one: the data are not for the daemon to read. Raises
        GateError where nobody could be asked, SupervisorError and ConfigError.
        """
        environment = await asyncio.to_thread(
            backup_environment, self.settings, self.layout, self.slot,
            version=self.version, tree=self.tree,
        )  # fmt: skip
        questions = [asdict(self._question(one)) for one in invariants]
        job = Job(
            app=self.settings.name,
            name=f"{self.settings.name}-{self.operation}-unchanged-{secrets.token_hex(4)}",
            argv=environment.command(
                (sys.executable, "-I", "-m", "bluegreen.invariants.answering",
                 json.dumps(questions))
            ),
            cwd=self.tree,
            env=environment.variables,
            timeout=measuring_time(invariants),
            log_file=log,
        )  # fmt: skip
        result = await self.jobs.run(job)
        lines = await asyncio.to_thread(tail, log)
        answers = [found for line in lines if (found := parse(line)) is not None]
        if not result.ok or len(answers) != len(invariants):
            raise GateError(
                f"{self.settings.name}: what is to stay unchanged could not be asked: "
                f"{result.ending}",
                detail=await asyncio.to_thread(last_lines, log, job.env),
                remedy="correct [[gate.unchanged]] of the app file, then deploy again; nothing was "
                "switched",
            )
        shown = redact([found.shown for found in answers], job.env)
        return [replace(found, shown=text) for found, text in zip(answers, shown, strict=True)]

    def _question(self, invariant: Invariant) -> Question:
        timeout = invariant.timeout
        if invariant.command is not None:
            values = slot_values(
                self.settings, self.layout, self.slot,
                version=self.version, tree=self.tree, service=None,
            )  # fmt: skip
            script = expand_script(invariant.command, values)
            return Question(timeout=timeout, argv=("/bin/sh", "-c", script))
        query = invariant.query or ""
        if invariant.postgres is not None:
            url = copy_of(invariant.postgres, self.layout.copy_suffix)
            return Question(timeout=timeout, argv=_psql(url, query, timeout))
        shared, sqlite = str(self.layout.shared), invariant.sqlite or ""
        return Question(timeout=timeout, shared=shared, sqlite=sqlite, query=query)


def _psql(url: str, query: str, timeout: float) -> tuple[str, ...]:
    """The words that ask a PostgreSQL server, which is not to change anything either."""
    before: Sequence[str] = (
        "SET default_transaction_read_only = on",
        f"SET statement_timeout = {max(round(timeout * _MILLISECONDS), 1)}",
    )
    return (
        "psql", "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align",
        "--set=ON_ERROR_STOP=1", f"--dbname={url}",
        *(f"--command={text}" for text in (*before, query)),
    )  # fmt: skip
