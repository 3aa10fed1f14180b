"""The trees of one app: one directory a built release, which never moves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bluegreen.config.placeholders import build_cache
from bluegreen.config.settings import AppSettings
from bluegreen.errors import BluegreenError, BuildError, SlotError, SourceError
from bluegreen.files import link_atomically, sync_directory
from bluegreen.layout import AppLayout
from bluegreen.model import Release, Slot
from bluegreen.processes import uninterrupted
from bluegreen.slots import stamp
from bluegreen.slots.assets import Assets
from bluegreen.slots.building import Build, DiskFullError
from bluegreen.slots.custody import Custody
from bluegreen.slots.flush import flush
from bluegreen.slots.recipe import recipe_digest
from bluegreen.slots.shared_links import link_shared, outermost
from bluegreen.slots.stamp import Draft, TreeInfo
from bluegreen.sources.directory import DirectorySource
from bluegreen.sources.disk_space import is_full, shortage
from bluegreen.sources.interface import Source
from bluegreen.sources.interruptible import Stop, in_thread
from bluegreen.supervisors.interface import JobRunner

LEAST_BYTES = 64 * 2**20
"""What a release is expected to need before any has been built."""
# The names of trees that no operation has; a build takes its time, and keeps nobody from a look.
LOOKED_AT, BUILT = "look", "look-built"
OnStep = Callable[[str, str], Awaitable[None]]  # (name, "started" | "done")


class Looks(dict[str, asyncio.Lock]):
    """Who has which of the trees that no operation has: of one app, whatever its settings are."""

    def __init__(self) -> None:
        super().__init__({name: asyncio.Lock() for name in (LOOKED_AT, BUILT)})


class Trees:
    """Lays trees out, builds, stamps, finds, places and reclaims them.

    Keeps nothing of them in memory: what it has to know of a tree lies beside it. ``looking`` is
    shared by all that are made for one app.
    """

    def __init__(
        self, settings: AppSettings, layout: AppLayout, supervisor: JobRunner, looking: Looks
    ) -> None:
        self._settings = settings
        self._layout = layout
        self._jobs = supervisor
        self._custody = Custody(settings.name, layout, supervisor)
        self._assets = Assets(settings, layout, supervisor)
        self._looking = looking

    def path(self, operation: int, slot: Slot) -> Path:
        """``trees/12-green``: where the tree of that operation is, or would be."""
        return self._layout.trees / f"{operation}-{slot.value}"

    async def lay_out(self, source: Source, release: Release, tree: Path, slot: Slot) -> None:
        """Fill ``tree`` with the release and link what is shared.

        What an earlier attempt left there is removed first. Raises SourceError, and then nothing
        of the tree is left; cancelled, what is left has no stamp.
        """
        self._operation(tree, slot)
        with self._writing(SourceError, tree):
            await asyncio.to_thread(self._clear_stamp, tree)
            await self._custody.remove(tree)
            digest = await self._source_digest(release.version)
            try:
                await source.lay_out(release, tree)
                await self._share(tree)
                await asyncio.to_thread(stamp.write_draft, tree, Draft(source=digest))
            except (BluegreenError, OSError):
                await self._custody.remove(tree)
                raise

    def _clear_stamp(self, tree: Path) -> None:
        tree.parent.mkdir(parents=True, exist_ok=True)
        stamp.remove_stamp(tree)

    @contextlib.asynccontextmanager
    async def for_a_look(
        self, source: Source, release: Release, *, build: bool = False
    ) -> AsyncIterator[Path]:
        """A tree of the release, not yet built and of no operation, which is gone afterwards.

        One at a time, and beside it one that is to ``build``; what a killed daemon left of one is
        removed. Raises SourceError and OSError.
        """
        name = BUILT if build else LOOKED_AT
        tree = self._layout.trees / name
        async with self._looking[name]:
            await self._custody.remove(tree)
            try:
                await source.lay_out(release, tree)
                await self._link(tree)
                yield tree
            finally:
                await uninterrupted(self._custody.remove(tree), name=f"remove {tree.name}")

    async def _share(self, tree: Path) -> None:
        """Link what is shared, let the tree's users in, and give what is shared its first content.

        In this order: from then on the daemon follows no path inside the tree.
        """
        aside = await self._link(tree)
        await self._custody.seed(aside, outermost(self._settings.app.shared))

    async def _link(self, tree: Path) -> Path:
        """Link what is shared and let the tree's users in. Where what was in its place is now."""
        paths, shared = outermost(self._settings.app.shared), self._layout.shared
        aside = tree / f".bluegreen-{secrets.token_hex(8)}"  # like no name in any release

        def link(stop: Stop) -> None:
            link_shared(tree, shared, paths, aside, stop)
            self._custody.open(tree)

        await in_thread(link, name=f"link {tree.name}")
        return aside

    async def _source_digest(self, version: str) -> str | None:
        """Of what a directory source holds now; None for git, where the commit says it."""
        template = self._settings.source.directory
        if template is None:
            return None
        source = DirectorySource(
            self._settings.name, template, timeout=self._settings.source.timeout
        )
        return await source.fingerprint(version)

    async def build(
        self,
        release: Release,
        tree: Path,
        slot: Slot,
        *,
        logs: Path,
        on_step: OnStep,
    ) -> None:
        """Run every ``[[build]]`` step in order; ``on_step(name, "started" | "done")``.

        The output of a step is in ``logs/build-STEP.log``. Raises BuildError with its last lines.
        A tree whose build failed is left for inspection until it is reclaimed, unless the disk is
        full.
        """
        build = Build(
            settings=self._settings, layout=self._layout, release=release, tree=tree, slot=slot,
            operation=self._operation(tree, slot), logs=logs,
            bytes_needed=await self.bytes_needed(),
        )  # fmt: skip
        with self._writing(BuildError, tree):
            await asyncio.to_thread(self._prepare_build, release.version, tree, slot, logs)
        await self._run_steps(build, on_step)

    async def build_for_a_look(
        self,
        release: Release,
        tree: Path,
        slot: Slot,
        *,
        data: Path,
        logs: Path,
        on_step: OnStep,
    ) -> None:
        """As ``build``, in a tree `for_a_look`, as ``slot`` would be built, on the copy ``data``.

        It gets no stamp. Raises BuildError and ConfigError.
        """
        build = Build(
            settings=self._settings, layout=replace(self._layout, data=data), release=release,
            tree=tree, slot=slot, operation=0, logs=logs, bytes_needed=await self.bytes_needed(),
        )  # fmt: skip
        with self._writing(BuildError, tree):
            await asyncio.to_thread(self._prepare_places, logs)
        await self._run_steps(build, on_step)

    async def _run_steps(self, build: Build, on_step: OnStep) -> None:
        for step in self._settings.build:
            await on_step(step.name, "started")
            try:
                await build.run(step, self._jobs)
            except DiskFullError:
                await self._custody.remove(build.tree)
                raise
            await on_step(step.name, "done")

    def _prepare_build(self, version: str, tree: Path, slot: Slot, logs: Path) -> None:
        self._prepare_places(logs)
        # As it is when the build begins: a secret changed meanwhile means another build.
        recipe = recipe_digest(self._settings, self._layout, slot, version)
        stamp.write_draft(tree, Draft(source=stamp.read_draft(tree).source, recipe=recipe))

    def _prepare_places(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        build_cache(self._layout).mkdir(parents=True, exist_ok=True)

    async def complete(self, release: Release, tree: Path, slot: Slot, operation: int) -> TreeInfo:
        """Keep its assets, write all to disk and then the stamp: from now on it counts as good.

        Raises BuildError when that is not possible; then it does not.
        """
        if self._operation(tree, slot) != operation:
            raise ValueError(f"{tree} is not of operation {operation}")
        with self._writing(BuildError, tree):
            kept = await self._assets.keep(tree)
            size = await in_thread(lambda stop: _allocated(tree, stop), name=f"size {tree.name}")
            draft = await asyncio.to_thread(stamp.read_draft, tree)
            recipe = draft.recipe or await self._recipe(slot, release.version)
            info = TreeInfo(
                version=release.version, commit=release.commit, slot=slot, operation=operation,
                recipe=recipe, bytes=size + kept, source=draft.source,
            )  # fmt: skip
            await flush(tree)
            await asyncio.to_thread(stamp.write_stamp, tree, info)
        return info

    def info(self, tree: Path) -> TreeInfo | None:
        """What a complete tree of this app holds; None for an incomplete or foreign one."""
        return stamp.read_stamp(tree) if tree.parent == self._layout.trees else None

    async def find(self, slot: Slot, *, version: str, commit: str | None) -> Path | None:
        """The latest complete tree of that release, built for that slot as it would be now.

        Raises ConfigError when the build's environment cannot be read.
        """
        return await self._find(slot, version, lambda info: info.commit == commit)

    async def find_version(self, slot: Slot, version: str) -> Path | None:
        """As ``find``, whichever commit the version was then; its stamp says which."""
        return await self._find(slot, version, lambda _: True)

    async def _find(
        self, slot: Slot, version: str, wanted: Callable[[TreeInfo], bool]
    ) -> Path | None:
        candidates = [
            (tree, info)
            for tree in await asyncio.to_thread(stamp.trees_in, self._layout.trees)
            if (info := self.info(tree)) is not None
            and (info.slot, info.version) == (slot, version)
            and wanted(info)
        ]
        if not candidates:
            return None
        recipe = await self._recipe(slot, version)
        # A directory that is gone cannot contradict what was built from it.
        source = await self._source_digest(version)
        for tree, info in candidates:
            if info.recipe == recipe and source in (None, info.source):
                return tree
        return None

    async def _recipe(self, slot: Slot, version: str) -> str:
        return await asyncio.to_thread(recipe_digest, self._settings, self._layout, slot, version)

    async def current(self, slot: Slot) -> Path | None:
        """Where the link ``slots/SLOT`` points; None when there is no link."""
        return await asyncio.to_thread(self._current, slot)

    def _current(self, slot: Slot) -> Path | None:
        link = self._layout.slot(slot)
        return link.parent / os.readlink(link) if link.is_symlink() else None

    async def place(self, slot: Slot, tree: Path | None) -> None:
        """Durably point ``slots/SLOT``, and that of its assets, to a complete tree; or remove it.

        Raises SlotError, with the link as it was.
        """
        if tree is not None and self.info(tree) is None:
            raise SlotError(
                f"{self._settings.name}: {tree} is not a complete tree",
                remedy="deploy the release again; an incomplete tree never gets into a slot",
            )
        with self._writing(SlotError, self._layout.slot(slot)):
            await asyncio.to_thread(self._place, slot, tree)

    def _place(self, slot: Slot, tree: Path | None) -> None:
        link = self._layout.slot(slot)
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.exists() and not link.is_symlink():
            raise SlotError(
                f"{self._settings.name}: {link} is not a link",
                remedy="somebody put it there: move it away",
            )
        # A kill in between is mended by whoever places the tree again, or the one before.
        self._assets.place(slot, tree)
        if tree is not None:
            link_atomically(link, str(tree))
        elif link.is_symlink():
            link.unlink()
            sync_directory(link.parent)

    async def disown(self, tree: Path, inside: Path) -> None:
        """Let a tree that is in no slot count for nothing any more, and remove ``inside`` of it.

        Raises SlotError.
        """
        with self._writing(SlotError, tree):
            if tree in await asyncio.to_thread(self._placed):
                raise SlotError(
                    f"{self._settings.name}: {tree} is in a slot",
                    remedy="see what is in the slots: bluegreen status",
                )
            await asyncio.to_thread(stamp.remove_stamp, tree)
            if await asyncio.to_thread(os.path.lexists, inside):
                await self._custody.remove(inside)

    async def reclaim(self, keep: Collection[Path]) -> int:
        """Delete every tree of ours that is neither in ``keep`` nor in a slot; returns how many.

        Each loses its stamp first. Raises SlotError when something cannot be deleted.
        """
        with self._writing(SlotError, self._layout.trees):
            kept = {*keep, *await asyncio.to_thread(self._placed)}
            trees = await asyncio.to_thread(stamp.trees_in, self._layout.trees)
            going = [tree for tree in trees if tree not in kept]
            for tree in going:
                await asyncio.to_thread(stamp.remove_stamp, tree)
                await self._custody.remove(tree)
            await asyncio.to_thread(self._remove_lone_stamps, kept)
            await in_thread(lambda _: self._assets.reclaim(), name=f"reclaim {self._layout.assets}")
            for name, looking in self._looking.items():
                if not looking.locked():
                    async with looking:
                        await self._custody.remove(self._layout.trees / name)
        return len(going)

    def _placed(self) -> set[Path]:
        """The trees that are in a slot."""
        return {tree for slot in Slot if (tree := self._current(slot)) is not None}

    def _remove_lone_stamps(self, kept: Collection[Path]) -> None:
        for file, tree in stamp.beside(self._layout.trees):
            if tree not in kept and not stamp.is_directory(tree):
                file.unlink(missing_ok=True)

    async def bytes_needed(self) -> int:
        """What a new tree will take on disk: as the largest of the complete ones."""
        trees = await asyncio.to_thread(stamp.trees_in, self._layout.trees)
        return max([LEAST_BYTES, *self._sizes(trees)])

    def _sizes(self, trees: Sequence[Path]) -> list[int]:
        return [info.bytes for tree in trees if (info := self.info(tree)) is not None]

    @contextlib.contextmanager
    def _writing(self, kind: type[BluegreenError], place: Path) -> Iterator[None]:
        """Turn what the file system refuses into an error of ``kind``."""
        try:
            yield
        except OSError as error:
            detail = [str(error)]
            if is_full(error):
                needed = max([LEAST_BYTES, *self._sizes(stamp.trees_in(self._layout.trees))])
                detail.append(shortage(place, needed))
            raise kind(
                f"{self._settings.name}: {place} cannot be written: {error.strerror}",
                detail=detail,
                remedy="free some space if the disk is full, make it writable for the user that "
                "runs the daemon, then try again",
            ) from error

    def _operation(self, tree: Path, slot: Slot) -> int:
        name = stamp.named(tree) if tree.parent == self._layout.trees else None
        if name is None or name[1] is not slot:
            raise ValueError(f"{tree} is not a tree of {self._settings.name} for {slot}")
        return name[0]


def _allocated(tree: Path, stop: Stop) -> int:
    """Bytes on disk of everything in ``tree``, files with several names once."""
    total, seen = 0, set()
    for directory, names, files in os.walk(tree):
        stop.check()
        for name in [*names, *files]:
            status = os.lstat(os.path.join(directory, name))
            key = (status.st_dev, status.st_ino)
            if status.st_nlink > 1 and key in seen:
                continue
            seen.add(key)
            total += status.st_blocks * 512
    return total
