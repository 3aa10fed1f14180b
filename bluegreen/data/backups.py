"""The backups of one app: made, verified, listed, and brought back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bluegreen.config.settings import AppSettings
from bluegreen.data.catalog import Catalog, Entry
from bluegreen.data.manifest import OUTPUT, Manifest
from bluegreen.data.programs import Part, Programs, unloadable
from bluegreen.data.replacement import Replacement, replacements
from bluegreen.data.schema import Schema
from bluegreen.data.work import OnLine, Work, at_once
from bluegreen.errors import DataError, RefusedError
from bluegreen.layout import AppLayout
from bluegreen.processes import uninterrupted
from bluegreen.slots.shared_links import outermost

TIMEOUT = 3600.0  # seconds, for an app whose file has no [backup] any more


@dataclass(frozen=True, kw_only=True)
class Backups:
    """Of the app that ``programs`` are of."""

    programs: Programs
    version: str | None  # of the active release

    @property
    def settings(self) -> AppSettings:
        return self.programs.settings

    @property
    def layout(self) -> AppLayout:
        return self.programs.layout

    @property
    def timeout(self) -> float:
        """Seconds that one piece of the work may take."""
        return TIMEOUT if self.settings.backup is None else self.settings.backup.timeout

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.settings.name, self.layout.backups)

    @property
    def _work(self) -> Work:
        return Work(
            app=self.settings.name, layout=self.layout, jobs=self.programs.jobs,
            timeout=self.timeout,
        )  # fmt: skip

    async def entries(self) -> list[Entry]:
        """All of them, the newest first."""
        return await asyncio.to_thread(self.catalog.entries)

    async def manifest(self, number: int) -> Manifest:
        """Raises NotFoundError, and DataError for a manifest that cannot be used."""
        return await asyncio.to_thread(self.catalog.manifest, number)

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

        With ``only_present``, as far as it is there: a first release has not made all of it yet.
        With ``replaced_by``, what a restore of that backup would replace instead, as far as it is
        there. Done again after a crash, it finds a backup that is whole. Raises DataError.
        """
        if await asyncio.to_thread(self.catalog.has, number):
            return await self.manifest(number)
        await self._begin(number)
        draft = self.catalog.draft(number)
        parts = self._parts(draft, replaced_by)
        sqlite, files = self._paths(replaced_by)
        if only_present:
            sqlite, files = await asyncio.to_thread(self._present, sqlite, files)
        began = time.time()  # what is written from now on may not be in it
        found = await self._work.do(
            "gather",
            {
                "shared": str(self.layout.shared), "draft": str(draft),
                "sqlite": sqlite, "files": files,
                "others": await self._others(),
                "leniently": replaced_by is not None,
            },
            log=logs / "backup-files.log",
            on_line=on_line,
        )  # fmt: skip
        await self.programs.dump(parts, draft, logs=logs, operation=number, on_line=on_line)
        if replaced_by is not None:
            reason = f"before the restore of backup {replaced_by.id}"
        manifest = Manifest(
            id=number, app=self.settings.name, created_at=began, reason=reason,
            version=self.version, postgres=self._urls(replaced_by),
            command=any(part.file == OUTPUT for part in parts), **found,
        )  # fmt: skip
        await self._seal(draft, manifest, logs, on_line)
        await uninterrupted(
            at_once(lambda: self.catalog.publish(number), name=f"backup {number}"),
            name=f"publish backup {number} of {self.settings.name}",
        )
        return await self.manifest(number)

    async def _begin(self, number: int) -> None:
        await at_once(lambda: self.catalog.begin(number), name=f"backup {number}")

    async def _seal(self, draft: Path, manifest: Manifest, logs: Path, on_line: OnLine) -> None:
        document = replace(manifest, members={}).to_json()
        del document["format"]
        task = {"draft": str(draft), "manifest": document}
        await self._work.do("seal", task, log=logs / "backup-verify.log", on_line=on_line)

    async def _others(self) -> int:
        """Bytes of the newest backup without its copies of databases: about as many again."""
        for entry in await self.entries():
            if entry.manifest is not None:
                members = entry.manifest.members.items()
                return sum(m.bytes for name, m in members if not name.startswith("sqlite/"))
        return 0

    def _paths(self, replaced_by: Manifest | None) -> tuple[list[str], list[str]]:
        if replaced_by is not None:
            return list(replaced_by.sqlite), list(replaced_by.files)
        backup = self.settings.backup
        return ([], []) if backup is None else (list(backup.sqlite), list(backup.files))

    def _present(self, sqlite: list[str], files: list[str]) -> tuple[list[str], list[str]]:
        shared = self.layout.shared
        there = [[path for path in paths if os.path.lexists(shared / path)]
                 for paths in (sqlite, files)]  # fmt: skip
        return there[0], there[1]

    async def has_data(self) -> bool:
        """Whether there is anything yet that ``[backup]`` names."""
        if any(self.programs.parts(self.layout.backups)):
            return True
        return any(await asyncio.to_thread(self._present, *self._paths(None)))

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
        await at_once(lambda: self.catalog.discard(number), name=f"draft of backup {number}")

    async def prune(self) -> list[int]:
        """Remove what is beyond ``keep``, when a backup has just been verified."""
        backup = self.settings.backup
        if backup is None:
            return []
        gone: list[int] = []
        await at_once(lambda: gone.extend(self.catalog.prune(backup.keep)), name="retention")
        return gone

    async def verify(self, number: int, *, log: Path | None = None) -> list[str]:
        """A line for each file of a backup that is not what was written; none: all is well."""
        if not await asyncio.to_thread(self.catalog.has, number):
            await self.manifest(number)
        task = {"directory": str(self.catalog.path(number))}
        damaged: list[str] = (await self._work.do("verify", task, log=log))["damaged"]
        return damaged

    async def loss(self, number: int) -> dict[str, Any]:
        """What a restore would replace: rows by table, files, and the latest change, now and then.

        Of what only a program can read nothing is known. Raises NotFoundError, DataError.
        """
        manifest = await self.manifest(number)
        now = await self._work.do(
            "present",
            {
                "shared": str(self.layout.shared),
                "sqlite": list(manifest.sqlite), "files": list(manifest.files),
            },
            log=None,
        )  # fmt: skip
        return {
            "backup": number,
            "created_at": manifest.created_at,
            "version": manifest.version,
            "sqlite": {
                path: {**now["sqlite"][path], "then": then}
                for path, then in manifest.sqlite.items()
            },
            "files": {
                path: {**now["files"][path], "then": then} for path, then in manifest.files.items()
            },
            "postgres": list(manifest.postgres),
            "command": manifest.command,
        }

    # -- rehearsals -------------------------------------------------------------------------

    async def schema(self, shared: Path | None = None) -> Schema:
        """What the databases in ``shared``, the app's or a copy of it, are like. DataError."""
        task = {"shared": str(shared or self.layout.shared), "sqlite": self._paths(None)[0]}
        return dict((await self._work.do("schema", task, log=None))["schema"])

    async def begin_rehearsal(self, tree: Path, copy: Path, log: Path, on_line: OnLine) -> int:
        """Copy the data, and lead the tree's links to the copy; how many files were left out."""
        task = self._rehearsal(tree, copy)
        return int(
            (await self._work.do("begin-rehearsal", task, log=log, on_line=on_line))["left_out"]
        )

    async def end_rehearsal(self, tree: Path, copy: Path, log: Path) -> None:
        """Lead the tree's links to the real data again, durably, and remove the copy."""
        await self._work.do("end-rehearsal", self._rehearsal(tree, copy), log=log)

    def _rehearsal(self, tree: Path, copy: Path) -> dict[str, Any]:
        sqlite, files = self._paths(None)
        return {
            "tree": str(tree), "shared": str(self.layout.shared), "copy": str(copy),
            "links": outermost(self.settings.app.shared), "sqlite": sqlite, "files": files,
        }  # fmt: skip

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
                f"is in {self.catalog.path(number) / 'damaged'}",
            )
        own = self._urls(None)
        if manifest.postgres and manifest.postgres != own:
            raise RefusedError(
                f"{app}: backup {number} is of other PostgreSQL databases than the app file names",
                detail=[f"the backup: {', '.join(manifest.postgres)}"],
                remedy="name those under postgres in [backup], then bluegreen reload",
            )
        parts = self.programs.parts(self.catalog.path(number))
        others = {OUTPUT} & manifest.members.keys()
        if unloaded := list(unloadable(parts, sorted(others))):
            raise RefusedError(
                f"{app}: nothing in the app file can restore what the command of [backup] has "
                "printed",
                remedy="write a restore_command in [backup], which reads it from its standard "
                "input, or restore it by hand from "
                + ", ".join(str(self.catalog.path(number) / file) for file in unloaded),
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
        task = {
            "directory": str(self.catalog.path(number)), "shared": str(self.layout.shared),
            "operation": operation,
        }  # fmt: skip
        await self._work.do("stage", task, log=log, on_line=on_line)

    def loads(self, manifest: Manifest, number: int) -> list[Part]:
        """What programs have to bring back of backup ``number``, of the kinds in ``manifest``."""
        return self._parts(self.catalog.path(number), manifest)

    async def each_replacement(
        self, manifest: Manifest, operation: int, do: Callable[[Replacement], None]
    ) -> None:
        """``do`` it with every replacement of a restore, to the end even when cancelled."""

        def all_of_them() -> None:
            paths = (*manifest.sqlite, *manifest.files)
            for replacement in replacements(self.layout.shared, paths, operation):
                do(replacement)

        name = f"restore of {self.settings.name}"
        await uninterrupted(at_once(all_of_them, name=name), name=f"{name}, by {operation}")
