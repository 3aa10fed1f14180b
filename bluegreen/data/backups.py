"""The backups of one app: made, verified, listed, and brought back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bluegreen.config.postgres_address import copy_of
from bluegreen.config.settings import AppSettings
from bluegreen.data import answers, shapes
from bluegreen.data.catalog import Catalog, Entry
from bluegreen.data.copies import Copies, read_record
from bluegreen.data.manifest import OUTPUT, Manifest, manifest_of
from bluegreen.data.programs import Part, Programs, unloadable
from bluegreen.data.replacement import Step
from bluegreen.data.schema import Schema, as_schema
from bluegreen.data.work import OnLine, Work
from bluegreen.errors import DataError, RefusedError
from bluegreen.layout import AppLayout
from bluegreen.model import Slot
from bluegreen.remedies import Remedies
from bluegreen.slots.shared_links import outermost


@dataclass(frozen=True)
class RehearsalPlace:
    """Where in the ``tree`` of a new release its rehearsal is: gone with the tree, if not before.

    On the disk of the data and the trees, and out of reach of whatever serves.
    """

    tree: Path

    @classmethod
    def of(cls, data: Path) -> RehearsalPlace:
        """Where that copy is, or was."""
        return cls(data.parent.parent)

    @property
    def directory(self) -> Path:
        return self.tree / ".bluegreen-rehearsal"

    @property
    def data(self) -> Path:
        """The copy of what is shared."""
        return self.directory / "data"

    @property
    def release(self) -> Path:
        """The copy of the tree of the release that serves."""
        return self.directory / "release"


@dataclass(frozen=True, kw_only=True)
class Backups:
    """Of the app that ``programs`` are of."""

    programs: Programs
    remedies: Remedies
    version: str | None  # of the active release

    @property
    def settings(self) -> AppSettings:
        return self.programs.settings

    @property
    def layout(self) -> AppLayout:
        return self.programs.layout

    @property
    def _work(self) -> Work:
        return Work(
            app=self.settings.name, layout=self.layout, jobs=self.programs.jobs,
            timeout=self.settings.data_timeout,
        )  # fmt: skip

    @property
    def _catalog(self) -> Catalog:
        """For names of paths alone: only the work looks at them."""
        return Catalog(self.settings.name, self.layout.backups)

    async def entries(self) -> list[Entry]:
        """All of them, the newest first. Raises DataError, as all of this does."""
        found = await self._work.at_once("list", {})
        return await self._work.checked(answers.entries, found)

    async def manifest(self, number: int) -> Manifest:
        """Raises NotFoundError, and DataError for a manifest that cannot be used."""
        return await self._manifest(await self._work.at_once("manifest", {"number": number}))

    async def has(self, number: int) -> bool:
        """Whether there is a backup of that number, good or not."""
        found = await self._work.at_once("has", {"number": number})
        return await self._work.checked(lambda done: shapes.flag(done["has"]), found)

    async def _manifest(self, result: Mapping[str, Any]) -> Manifest:
        return await self._work.checked(lambda done: manifest_of(done["manifest"]), result)

    async def create(
        self,
        number: int,
        logs: Path,
        on_line: OnLine,
        *,
        reason: str = "asked for",
        replaced_by: Manifest | None = None,
        only_present: bool = False,
    ) -> Manifest:
        """Back up what ``[backup]`` names, as backup ``number``; return it once it is verified.

        With ``only_present``, as far as it is there: a first release has not made all of it yet,
        and a restore takes away what has come since.
        With ``replaced_by``, what a restore of that backup would replace instead, as far as it is
        there. Done again after a crash, it finds a backup that is whole. Raises DataError.
        """
        log = logs / "backup-files.log"
        been_here = await asyncio.to_thread(log.exists)
        found = await self._work.at_once("begin", {"number": number})
        if found.get("manifest") is not None:
            if not been_here:
                raise self._taken(number)
            return await self._manifest(found)
        parts = self._parts(self._catalog.draft(number), replaced_by)
        sqlite, files = self._paths(replaced_by)
        if only_present:
            sqlite, files = await self._there(sqlite, files)
        began = time.time()  # what is written from now on may not be in it
        gathered = await self._work.do(
            "gather",
            {
                "number": number, "sqlite": sqlite, "files": files,
                "directories": sorted({str(Path(part.file).parent) for part in parts} - {"."}),
                "leniently": replaced_by is not None,
            },
            log=log,
            on_line=on_line,
        )  # fmt: skip
        named = self._paths(replaced_by)
        absent = await self._work.checked(lambda done: answers.absent(named, done), gathered)
        rows = await self.programs.dump(parts, logs=logs, operation=number, on_line=on_line)
        if replaced_by is not None:
            reason = f"before the restore of backup {replaced_by.id}"
        manifest = Manifest(
            id=number, app=self.settings.name, created_at=began, reason=reason,
            version=self.version, postgres=self._urls(replaced_by), postgres_rows=rows,
            command=any(part.file == OUTPUT for part in parts),
            absent_sqlite=absent[0], absent_files=absent[1],
        )  # fmt: skip
        task = {"number": number, "manifest": {**manifest.to_json(), **gathered}}
        await self._work.do("seal", task, log=logs / "backup-verify.log", on_line=on_line)
        return await self._manifest(await self._work.at_once("publish", {"number": number}))

    def _taken(self, number: int) -> DataError:
        """Where the daemon may not look at backups, a lost history may begin with their numbers."""
        return DataError(
            f"{self.settings.name}: there is a backup {number} already, of before the history was "
            "lost",
            remedy="back up once more: that takes the next number",
        )

    def _paths(self, replaced_by: Manifest | None) -> tuple[list[str], list[str]]:
        if replaced_by is not None:
            return (
                [*replaced_by.sqlite, *replaced_by.absent_sqlite],
                [*replaced_by.files, *replaced_by.absent_files],
            )
        backup = self.settings.backup
        return ([], []) if backup is None else (list(backup.sqlite), list(backup.files))

    async def _there(self, sqlite: list[str], files: list[str]) -> tuple[list[str], list[str]]:
        """Those of them that are there."""
        done = await self._work.at_once("there", {"paths": [*sqlite, *files]})
        there = await self._work.checked(lambda it: shapes.array(shapes.text, it["there"]), done)
        return [path for path in sqlite if path in there], [path for path in files if path in there]

    async def has_data(self) -> bool:
        """Whether there is anything yet that ``[backup]`` names."""
        if any(self.programs.parts(self.layout.backups)):
            return True
        return any(await self._there(*self._paths(None)))

    def _urls(self, replaced_by: Manifest | None) -> tuple[str, ...]:
        if replaced_by is not None and not replaced_by.postgres:
            return ()
        return () if self.settings.backup is None else self.settings.backup.postgres

    def _parts(self, directory: Path, replaced_by: Manifest | None) -> list[Part]:
        """The programs that make, or bring back, what is backed up in ``directory``."""
        parts = self.programs.parts(directory)
        if replaced_by is None:
            return parts
        return [part for part in parts if part.file in replaced_by.members]

    async def discard(self, number: int) -> None:
        """Remove what an attempt that failed has left."""
        await self._work.at_once("discard", {"number": number})

    async def prune(self) -> list[int]:
        """Remove what is beyond ``keep``, when a backup has just been verified."""
        backup = self.settings.backup
        if backup is None:
            return []
        task = {"keep": backup.keep, "paths": [*backup.sqlite, *backup.files]}
        done = await self._work.at_once("prune", task)
        return await self._work.checked(lambda it: shapes.array(shapes.count, it["removed"]), done)

    async def verify(self, number: int, *, log: Path | None = None) -> list[str]:
        """A line for each file of a backup that is not what was written; none: all is well.

        Raises NotFoundError.
        """
        done = await self._work.do("verify", {"number": number}, log=log)
        return await self._work.checked(lambda it: shapes.array(shapes.text, it["damaged"]), done)

    async def loss(self, number: int) -> dict[str, Any]:
        """What a restore would replace: rows by table, files, and the latest change, now and then.

        Of what a command prints nothing is known. Raises NotFoundError, DataError.
        """
        now = await self._work.do("present", {"number": number}, log=None)
        found = await self._work.checked(answers.loss, now)
        then = found.pop("postgres_rows")
        own = [url for url in self._urls(None) if url in then]
        postgres = {url: {**await self._rows_now(url), "then": then[url]} for url in own}
        return {"backup": number, **found, "postgres": postgres}

    async def _rows_now(self, url: str) -> dict[str, Any]:
        try:
            return {"rows": await self.programs.rows_now(url), "problem": None}
        except DataError as error:  # a server that is gone is one reason to restore
            return {"rows": {}, "problem": " ".join([error.message, *error.detail[-1:]])}

    # -- rehearsals -------------------------------------------------------------------------

    async def schema(self, shared: Path | None = None) -> Schema:
        """What the databases are like, or their copies that go with the copy ``shared``. DataError.

        Copies are called what they are copies of.
        """
        task = {"of": str(shared or self.layout.shared), "sqlite": self._paths(None)[0]}
        done = await self._work.do("schema", task, log=None)
        found = dict(await self._work.checked(lambda it: as_schema(it["schema"]), done))
        suffix = replace(self.layout, data=shared).copy_suffix
        for url in self._urls(None):
            found[url] = await self.programs.schema(copy_of(url, suffix))
        return found

    async def bytes_in_servers(self) -> int:
        """What databases take that a copy of the data has on servers' disks. Raises DataError."""
        return sum([await self.programs.bytes_of(url) for url in self._urls(None)])

    async def begin_rehearsal(self, place: RehearsalPlace, log: Path, on_line: OnLine) -> int:
        """Copy the data, and lead the tree's links to the copy; how many files were left out."""
        task = self._rehearsal(place)
        done = await self._work.do("begin-rehearsal", task, log=log, on_line=on_line)
        await self._copies(place).make(log, on_line)
        return await self._work.checked(lambda it: shapes.count(it["left_out"]), done)

    async def copy_release(
        self, tree: Path, place: RehearsalPlace, log: Path, on_line: OnLine
    ) -> None:
        """Copy the tree of the release that serves; what it has of the data is the copy's."""
        layout = self.layout
        leads = {layout.shared: place.data} | dict.fromkeys(
            (layout.slot(slot) for slot in Slot), place.release
        )
        task = {
            "tree": str(tree), "copy": str(place.release),
            "leads": {str(path): str(to) for path, to in leads.items()},
        }  # fmt: skip
        await self._work.do("copy-release", task, log=log, on_line=on_line)

    async def end_rehearsal(self, place: RehearsalPlace, log: Path) -> None:
        """Lead the tree's links to the real data again, durably, and remove the copies in it.

        Those that are in no directory are removed before, as what tells of them goes here.
        """
        await self._work.do("end-rehearsal", self._rehearsal(place), log=log)

    async def drop_copies(self, place: RehearsalPlace, log: Path) -> None:
        """Remove those copies of a rehearsal that are in no directory, if there are any."""
        await self._copies(place).drop(log)

    async def copies_left(self) -> list[RehearsalPlace]:
        """Whose copies that are in no directory may be there. Raises DataError."""
        return await asyncio.to_thread(self._copies_left)

    def _copies_left(self) -> list[RehearsalPlace]:
        files = sorted(self.layout.copies.glob("copy_*"))
        return [RehearsalPlace.of(read_record(file)[0]) for file in files]

    def _copies(self, place: RehearsalPlace) -> Copies:
        return Copies(programs=self.programs, data=place.data)

    def _rehearsal(self, place: RehearsalPlace) -> dict[str, Any]:
        sqlite, files = self._paths(None)
        return {
            "tree": str(place.tree), "place": str(place.directory), "copy": str(place.data),
            "links": outermost(self.settings.app.shared), "sqlite": sqlite, "files": files,
        }  # fmt: skip

    async def room(self) -> answers.Room:
        """How much room is taken by a copy of the data, and by a backup. Raises DataError."""
        sqlite, files = self._paths(None)
        task = {"sqlite": sqlite, "files": files}
        found = await self._work.do("size", task, log=None)  # there may be very many files
        return await self._work.checked(answers.room, found)

    # -- the way back -----------------------------------------------------------------------

    async def require_restorable(self, number: int) -> Manifest:
        """The manifest of a backup that can be brought back. Raises RefusedError, NotFoundError."""
        manifest = await self.manifest(number)
        app = self.settings.name
        if manifest.damaged:
            raise RefusedError(
                f"{app}: backup {number} holds databases that were damaged when it was made: "
                + ", ".join(manifest.damaged),
                remedy=f"restore another one: bluegreen backup list {app}; what there was of them "
                f"is in {self._catalog.path(number) / 'damaged'}",
            )
        own = self._urls(None)
        if manifest.postgres and manifest.postgres != own:
            raise RefusedError(
                f"{app}: backup {number} is of other PostgreSQL databases than the app file names",
                detail=[f"the backup: {', '.join(manifest.postgres)}"],
                remedy="name those under postgres in [backup], then: " + self.remedies.take_up,
            )
        parts = self.programs.parts(self._catalog.path(number))
        others = {OUTPUT} & manifest.members.keys()
        if unloaded := list(unloadable(parts, sorted(others))):
            raise RefusedError(
                f"{app}: nothing in the app file can restore what the command of [backup] has "
                "printed",
                remedy="write a restore_command in [backup], which reads it from its standard "
                "input, or restore it by hand from "
                + ", ".join(str(self._catalog.path(number) / file) for file in unloaded),
            )
        return manifest

    async def require_verified(self, number: int, log: Path) -> None:
        """Raises DataError for a backup that does not verify."""
        if damaged := await self.verify(number, log=log):
            raise DataError(
                f"{self.settings.name}: backup {number} is damaged, and nothing was restored",
                detail=damaged,
                remedy=f"restore another one: bluegreen backup list {self.settings.name}",
            )

    async def stage(self, number: int, operation: int, log: Path, on_line: OnLine) -> None:
        """Lay databases and files of a backup out beside what they will replace."""
        task = {"number": number, "operation": operation}
        await self._work.do("stage", task, log=log, on_line=on_line)

    def loads(self, manifest: Manifest, number: int) -> list[Part]:
        """What programs have to bring back of backup ``number``, of the kinds in ``manifest``."""
        return self._parts(self._catalog.path(number), manifest)

    async def each_replacement(self, number: int, operation: int, step: Step) -> None:
        """Do it with all that a restore of backup ``number`` replaces, even when cancelled."""
        task = {"number": number, "operation": operation, "step": step}
        await self._work.at_once("replace", task)
