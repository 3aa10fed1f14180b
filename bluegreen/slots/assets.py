"""What browsers fetch besides pages stays reachable, in copies that nginx may read.

A copy is of a tree, is made with it before its stamp, and never changes: whatever puts a tree into
a slot takes its copy along, by one rename of a link. See "Assets of both versions" in the design.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import BinaryIO

from bluegreen.config.settings import AppSettings
from bluegreen.errors import BluegreenError, BuildError
from bluegreen.files import link_atomically, sync_directory
from bluegreen.layout import AppLayout
from bluegreen.model import Job, Slot
from bluegreen.slots import stamp
from bluegreen.slots.asset_files import AssetsError, assets_in, keep, packed
from bluegreen.slots.building import last_lines
from bluegreen.slots.flush import flush
from bluegreen.sources.interruptible import Stop, in_thread
from bluegreen.sources.removal import remove_tree
from bluegreen.supervisors.interface import JobRunner

LIMIT = 600.0  # seconds for the app's user to give them


class Assets:
    """Of one app's trees. Nothing is kept of an app whose routes name none."""

    def __init__(self, settings: AppSettings, layout: AppLayout, jobs: JobRunner) -> None:
        self._name = settings.name
        self._directories = settings.assets
        self._layout = layout
        self._jobs = jobs

    async def keep(self, tree: Path) -> int:
        """Copy those of a built ``tree``, durably; the bytes that they are.

        Raises BuildError, SlotError where they cannot be flushed, and OSError. Half a copy, which
        may be what has filled the disk, does not stay.
        """
        target = self._layout.assets / tree.name
        await self._remove(target)
        if not self._directories:
            return 0
        try:
            kept = await self._copy(tree, target)
        except (AssetsError, BluegreenError, OSError) as error:
            await self._remove(target)
            if isinstance(error, AssetsError):
                raise self._failed(str(error)) from error
            raise
        await flush(target)
        await asyncio.to_thread(self._link_beside)
        return kept

    async def _remove(self, copy: Path) -> None:
        await in_thread(lambda _: remove_tree(copy), name=f"remove {copy}")

    async def _copy(self, tree: Path, target: Path) -> int:
        if not self._layout.has_own_user:
            found = assets_in(tree, self._directories)
            return await in_thread(lambda stop: keep(found, target, stop), name=f"keep {target}")
        report = tree.with_name(f"{tree.name}.assets")
        with await asyncio.to_thread(_made, report) as file:
            try:
                await self._as_user(tree, report)
                return await in_thread(
                    lambda stop: _keep(file, target, stop), name=f"keep {target}"
                )
            finally:
                await asyncio.to_thread(report.unlink, missing_ok=True)

    async def _as_user(self, tree: Path, report: Path) -> None:
        words = (sys.executable, "-I", "-m", "bluegreen.slots.asset_files")
        job = Job(
            app=self._name, name=f"{self._name}-assets-{tree.name}",
            argv=(*words, str(tree), str(report), json.dumps(self._directories)),
            cwd=self._layout.trees, env={}, timeout=LIMIT,
            log_file=self._layout.logs / "assets.log",
        )  # fmt: skip
        # What a job says is appended: the last line is to be none of an earlier release.
        await asyncio.to_thread(job.log_file.unlink, missing_ok=True)
        result = await self._jobs.run(job)
        if not result.ok:
            lines = await asyncio.to_thread(last_lines, job.log_file, job.env)
            raise self._failed(lines[-1] if lines else result.ending)

    def _failed(self, why: str) -> BuildError:
        return BuildError(
            f"{self._name}: the assets of the release cannot be kept: {why}",
            remedy="let assets in [[routes]] name a directory that the release has once it is "
            "built, with the files for browsers and little else; a [[build]] step may make it",
        )

    def _link_beside(self) -> None:
        for slot in Slot:
            with contextlib.suppress(FileExistsError):
                os.symlink(slot.other.value, self._layout.assets_beside(slot))
        sync_directory(self._layout.assets)

    def place(self, slot: Slot, tree: Path | None) -> None:
        """Let ``slot`` have what was kept of ``tree``, or nothing. Blocking. Raises OSError."""
        link = self._layout.assets_of(slot)
        if tree is not None and (self._layout.assets / tree.name).is_dir():
            link_atomically(link, tree.name)
        elif link.is_symlink():
            link.unlink()
            sync_directory(link.parent)

    def reclaim(self) -> None:
        """Remove what was kept of trees that are not there any more. Blocking. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            for copy in list(self._layout.assets.iterdir()):
                tree = self._layout.trees / copy.name
                if stamp.named(copy) is not None and not stamp.is_directory(tree):
                    remove_tree(copy)


def _made(report: Path) -> BinaryIO:
    """An empty file that the app's group may write to, opened. Blocking. Raises OSError."""
    report.unlink(missing_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(report, flags, 0o600)
    os.fchmod(descriptor, 0o620)
    return open(descriptor, "r+b")


def _keep(file: BinaryIO, target: Path, stop: Stop) -> int:
    file.seek(0)
    return keep(packed(file), target, stop)
