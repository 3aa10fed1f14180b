"""Copies of what only programs can give and take, for a rehearsal: where the data themselves are,
under names of their own, which ``{copy}`` ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bluegreen.config.postgres_address import copy_of, database_of, is_of_copy
from bluegreen.data import shapes
from bluegreen.data.manifest import OUTPUT
from bluegreen.data.postgres_copy import copier
from bluegreen.data.programs import Programs
from bluegreen.data.work import SHORT, OnLine
from bluegreen.errors import DataError
from bluegreen.files import sync_directory, write_atomically

_WITHOUT = "or do without: rehearse = false in [migrations]"


@dataclass(frozen=True)
class _Step:
    """What is run, and by whom: with the names of the real data, or with those of the copies."""

    name: str
    words: tuple[str, ...]
    by: Programs
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Those that go with the copy ``data`` of what is shared. ``programs`` are of the real data."""

    programs: Programs
    data: Path

    @property
    def of_copy(self) -> Programs:
        """The programs, which name the copies."""
        return replace(self.programs, layout=replace(self.programs.layout, data=self.data))

    async def make(self, log: Path, on_line: OnLine) -> None:
        """Have them made, in place of what an earlier attempt has left. Raises DataError."""
        if not self._urls and self._command is None:
            return
        await asyncio.to_thread(self._remember)
        for step in (*self._removals(()), *self._making()):
            await self._run(step, log)
        for url in self._urls:
            await on_line(f"{url}: copied for the rehearsal, as {self._name(url)}")
        if self._command is not None:
            await on_line("command: copied for the rehearsal by copy_command")

    async def drop(self, log: Path) -> None:
        """Have those removed that may be there: all are tried. Raises DataError for the first.

        What was made is recorded: the app file may name others by now.
        """
        recorded = await asyncio.to_thread(self._recorded)
        if recorded is None:
            return
        failed = []
        for step in self._removals(recorded):
            try:
                await self._run(step, log, limit=SHORT)
            except DataError as error:
                failed.append(error)
        if failed:
            raise failed[0]
        await asyncio.to_thread(self._forget)

    @property
    def _record(self) -> Path:
        return self.programs.layout.copies / self.of_copy.layout.copy_suffix.removeprefix("_")

    def _remember(self) -> None:
        """Before anything is made: what is not recorded is not there."""
        earlier = self._recorded() or ()
        urls = [*self._urls, *(url for url in earlier if url not in self._urls)]
        try:
            self._record.parent.mkdir(exist_ok=True)
            sync_directory(self._record.parent.parent)
            write_atomically(self._record, json.dumps({"data": str(self.data), "postgres": urls}))
        except OSError as error:
            raise DataError(
                f"{self._record} cannot be written, which says what is copied: {error.strerror}",
                remedy=f"see that it can be, and that the disk has room; {_WITHOUT}",
            ) from error

    def _recorded(self) -> list[str] | None:
        """The addresses of databases that were to be copied; None where nothing was."""
        return read_record(self._record)[1] if self._record.exists() else None

    def _forget(self) -> None:
        self._record.unlink(missing_ok=True)
        sync_directory(self._record.parent)

    @property
    def _urls(self) -> list[str]:
        """Of databases that can be copied: others are in files that do without rehearsals."""
        backup = self.programs.settings.backup
        urls = () if backup is None else backup.postgres
        return [url for url in urls if database_of(url) and is_of_copy(self._name(url))]

    @property
    def _command(self) -> str | None:
        backup = self.programs.settings.backup
        return None if backup is None or backup.copy_command is None else backup.command

    def _name(self, url: str) -> str:
        return f"{database_of(url)}{self.of_copy.layout.copy_suffix}"

    def _making(self) -> Iterator[_Step]:
        for number, url in enumerate(self._urls, start=1):
            copy = copy_of(url, self.of_copy.layout.copy_suffix)
            yield _Step(
                f"postgres-{number}", copier("make", url, self._name(url), copy), self.programs,
                "see that the role may create databases (ALTER ROLE … CREATEDB), that pg_hba.conf "
                "lets it into each, that it owns what is in them, itself or by a role that it is a "
                f"member of, and that its server's disk has room; {_WITHOUT}",
            )  # fmt: skip
        backup = self.programs.settings.backup
        if backup is None or backup.command is None or backup.copy_command is None:
            return
        file = str(self.data.parent / OUTPUT)
        words = self.programs.writing(backup.command, file)
        yield _Step("command", words, self.programs, f"correct command in [backup]; {_WITHOUT}")
        words = self.of_copy.reading(backup.copy_command, file)
        yield _Step(
            "copy_command", words, self.of_copy, f"correct copy_command in [backup]; {_WITHOUT}"
        )

    def _removals(self, urls: Sequence[str]) -> Iterator[_Step]:
        for number, url in enumerate(urls, start=1):
            name = self._name(url)
            yield _Step(
                f"postgres-{number}", copier("drop", url, name), self.programs,
                "see who is connected to the copy, or why its server does not answer; then remove "
                f"it: psql \"{url}\" -c 'DROP DATABASE IF EXISTS \"{name}\"'",
            )  # fmt: skip
        backup = self.programs.settings.backup
        if backup is not None and backup.drop_command is not None:
            words = ("/bin/sh", "-c", self.of_copy.expanded(backup.drop_command))
            yield _Step(
                "drop_command", words, self.of_copy,
                "let drop_command in [backup] end well also where there is nothing to drop; then "
                f"remove by hand what ends with {self.of_copy.layout.copy_suffix}",
            )  # fmt: skip

    async def _run(self, step: _Step, log: Path, *, limit: float | None = None) -> None:
        try:
            await step.by.run(step.name, step.words, log, self.programs.layout.backups, limit=limit)
        except DataError as error:
            raise type(error)(error.message, detail=error.detail, remedy=step.remedy) from error


def read_record(file: Path) -> tuple[Path, list[str]]:
    """The ``data`` that copies go with, and the addresses of what they are of. Raises DataError."""
    try:
        found = shapes.table(lambda value: value, shapes.parse(file.read_bytes()))
        return Path(shapes.text(found["data"])), shapes.array(shapes.text, found["postgres"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file} does not say which copies of data may be there: {error}",
            remedy=f"remove by hand what ends with _{file.name}, then the file",
        ) from error
