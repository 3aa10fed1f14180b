"""Running the commands of ``[migrations]``, and telling an operator why one failed."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import BinaryIO

from bluegreen.config.environment import ProcessEnvironment, backup_environment
from bluegreen.config.migrations_section import Migrations
from bluegreen.config.placeholders import expand_script, slot_values
from bluegreen.config.secrets import redact
from bluegreen.config.settings import AppSettings
from bluegreen.errors import MigrationError
from bluegreen.layout import AppLayout
from bluegreen.log_tail import printable
from bluegreen.migrations.apart import naming_data
from bluegreen.migrations.names import LONGEST, check_name, is_name
from bluegreen.migrations.nouns import MigrationPlace
from bluegreen.model import Job
from bluegreen.slots.building import LONGEST_LINE, NOT_KEPT, last_lines
from bluegreen.supervisors.interface import JobRunner

MOST_PENDING = 10_000  # names that one check may print
LONGEST_READ = 10_000  # bytes of a line that are looked at together

# Standard output is what is asked for, and all else is for people: it comes after a line that
# nobody else can know, as the log holds both.
APART = """\
found=$(/bin/sh -c "$1"); status=$?
[ -z "$found" ] || printf "%s\\n%s\\n" "$2" "$found"
exit "$status"
"""
_MARK = "-- standard output of check"
_MARKED = re.compile(rf"{_MARK} \([0-9a-f]{{16}}\)")


@dataclass(frozen=True, kw_only=True)
class Commands:
    """The commands of one app in one release's tree, for one phase of an operation.

    ``live`` is the directory of the app's real data where ``layout`` has a copy of them;
    ``operation`` 0: of none, for a plan.
    """

    settings: AppSettings
    layout: AppLayout
    jobs: JobRunner
    place: MigrationPlace
    operation: int
    phase: str
    logs: Path
    live: Path | None = None

    async def pending(self) -> tuple[str, ...] | None:
        """The names that ``check`` prints, in its order; None where there is no ``check``.

        Raises MigrationError, also for a line that is no name.
        """
        script = self._section.check
        if script is None:
            return None
        mark = f"{_MARK} ({secrets.token_hex(8)})"
        lines = await self._run("check", script, {}, mark=mark)
        names = tuple(line for line in (line.strip() for line in lines) if line)
        if wrong := [name for name in names if not is_name(name)][:1]:
            raise self._error(
                "check printed what is no name of a migration",
                [wrong[0][:LONGEST]],
                "let it print the names of pending migrations alone, one a line, and all else on "
                "standard error; ",
                "check",
            )
        return tuple(dict.fromkeys(names))

    @property
    def has_run(self) -> bool:
        """Whether there is a command that applies them; else the app does as it starts."""
        return self._section.run is not None

    async def run(self) -> None:
        """Run ``run``, if there is such a command. Raises MigrationError."""
        if self._section.run is not None:
            await self._run("run", self._section.run, {})

    async def rollback(self, name: str) -> None:
        """Undo one migration. Raises MigrationError."""
        await self._about(name, "rollback", self._section.rollback)

    async def mark_applied(self, name: str) -> None:
        """Let the app count one as applied. Raises MigrationError."""
        await self._about(name, "mark-applied", self._section.mark_applied)

    async def _about(self, name: str, step: str, script: str | None) -> None:
        if script is not None:
            await self._run(step, script, {"name": check_name(name)})

    @property
    def _section(self) -> Migrations:
        section = self.settings.migrations
        return Migrations(mode="none") if section is None else section

    async def _run(
        self, step: str, script: str, more: Mapping[str, str], *, mark: str | None = None
    ) -> list[str]:
        """The lines after ``mark``. Raises MigrationError."""
        place = self.place
        environment: ProcessEnvironment = await asyncio.to_thread(
            backup_environment, self.settings, self.layout, place.slot,
            version=place.version, tree=place.tree,
        )  # fmt: skip
        values = slot_values(
            self.settings, self.layout, place.slot,
            version=place.version, tree=place.tree, service=None,
        ) | dict(more)  # fmt: skip
        script = expand_script(script, values)
        self._require_apart(step, script, environment)
        shell: tuple[str, ...] = ("/bin/sh", "-c", script)
        if mark is not None:
            shell = ("/bin/sh", "-c", APART, "sh", script, mark)
        job = Job(
            app=self.settings.name,
            name=f"{self.settings.name}-{self.operation}-{self.phase}-{step}",
            argv=environment.command(shell),
            cwd=place.tree,
            env=environment.variables,
            timeout=self._section.timeout,
            log_file=self.logs / f"{self.phase}-{step}.log",
        )
        since = await asyncio.to_thread(_size, job.log_file)
        result = await self.jobs.run(job)
        told = await asyncio.to_thread(Told.read, job.log_file, since, self._section.failure, mark)
        if told.failure is not None:
            raise self._error(
                f"{step} of {place.version} failed: its output matches fail_on, and it ended with "
                f"{result.ending}",
                redact([told.failure[:LONGEST_LINE]], job.env),
                "",
                step,
            )
        if not result.ok:
            lines = await asyncio.to_thread(last_lines, job.log_file, job.env)
            raise self._error(f"{step} of {place.version} failed: {result.ending}", lines, "", step)
        return told.lines

    def _require_apart(self, step: str, script: str, environment: ProcessEnvironment) -> None:
        """In a rehearsal nothing may name the real data."""
        if self.live is None:
            return
        texts = environment.variables | {f"{step} in [migrations]": script}
        if named := naming_data(self.settings, (self.live, self.layout.slots), texts):
            raise self._error(
                f"{step} would have worked on the real data",
                named,
                "write {shared_dir} there, which is the copy in a rehearsal, and {copy} behind the "
                "name of a database; or rehearse = false; ",
                step,
            )

    def _error(self, what: str, detail: list[str], first: str, step: str) -> MigrationError:
        name = self.settings.name
        where = " in the rehearsal" if self.live is not None else ""
        kept = f"the whole output: bluegreen logs {name} {self.operation} --phase {self.phase}"
        return MigrationError(
            f"{name}: {what}{where if self.operation else ' on a copy of the data'}",
            detail=detail,
            remedy=first + (kept if self.operation else NOT_KEPT),
        )


def shown(line: str) -> str:
    """A line of a command's log for people, without what nobody but us has a use for."""
    return _MARK if _MARKED.fullmatch(line) else line


@dataclass(frozen=True)
class Told:
    """What a command has written: the first line that means failure, and those after its mark."""

    failure: str | None
    lines: list[str]

    @classmethod
    def read(cls, log: Path, since: int, failure: re.Pattern[str] | None, mark: str | None) -> Told:
        """Of what ``log`` holds beyond ``since`` bytes. Blocking."""
        failed: str | None = None
        after: list[str] = []
        try:
            with log.open("rb") as file:
                file.seek(since)
                for raw in _lines(file):
                    text = raw.decode(errors="replace").rstrip("\n")
                    if failed is None and failure is not None:
                        seen = (printable(part) for part in text.split("\r"))  # drawn over, too
                        failed = next((part for part in seen if failure.search(part)), None)
                    line = printable(text)
                    if mark is not None and (after or line == mark) and len(after) <= MOST_PENDING:
                        after.append(line)
        except FileNotFoundError:
            pass
        return cls(failed, [*dropwhile(lambda line: line == mark, after)])


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines; of one that does not end, as of what draws its progress, overlapping pieces."""
    rest = b""
    while raw := file.readline(LONGEST_READ):
        yield rest + raw
        rest = b"" if raw.endswith(b"\n") else raw[-LONGEST_LINE:]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
