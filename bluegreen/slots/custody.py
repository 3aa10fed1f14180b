"""Trees and shared files where builds and services are of a user that is not the daemon's.

There the daemon lays a tree out and opens it to the app's group, by the set-group-ID of the
directory that trees are in. What that user makes in a tree only that user can remove, and what is
shared is that user's own: both is done by jobs, which run as it.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import SlotError
from bluegreen.layout import AppLayout
from bluegreen.model import Job
from bluegreen.slots.building import last_lines
from bluegreen.slots.seeding import seed
from bluegreen.sources.interruptible import in_thread
from bluegreen.sources.modes import for_group, is_for_group
from bluegreen.sources.removal import remove_tree
from bluegreen.supervisors.interface import JobRunner

LIMIT = 600.0  # seconds for a job
_PERMISSIONS = 0o777
# The tree itself is the daemon's, and stays. What else stays is found, and said, by the daemon.
_REMOVE = 'chmod -Rf u+rwX -- "$0"; rm -rf -- "$0" 2>/dev/null || true'


@dataclass(frozen=True)
class Custody:
    """Of the trees of one app, ``name``."""

    name: str
    layout: AppLayout
    jobs: JobRunner

    def open(self, tree: Path) -> None:
        """Let in who may enter the directory of all trees: until now a tree is the daemon's own.

        So nobody could put a link in the place of what the daemon was about to write to. Blocking;
        raises OSError.
        """
        mode = tree.parent.stat().st_mode
        allowed = mode & _PERMISSIONS
        tree.chmod(for_group(allowed) if is_for_group(tree.parent) else allowed)

    async def seed(self, aside: Path, paths: list[str]) -> None:
        """See `seed`; ``aside`` is gone afterwards. Raises SlotError and OSError."""
        shared = self.layout.shared
        if self.layout.has_own_user and paths:
            words = (sys.executable, "-I", "-m", "bluegreen.slots.seeding")
            await self._as_user("seed", (*words, str(aside), str(shared), *paths))
        elif not self.layout.has_own_user:
            await in_thread(lambda stop: seed(aside, shared, paths, stop), name=f"seed {shared}")
        await self.remove(aside)

    async def remove(self, path: Path) -> None:
        """See `remove_tree`. Raises SlotError and OSError."""
        if self.layout.has_own_user:
            with contextlib.suppress(PermissionError):
                return await in_thread(lambda _: remove_tree(path), name=f"remove {path.name}")
            await self._as_user("remove", ("/bin/sh", "-c", _REMOVE, str(path)))
        return await in_thread(lambda _: remove_tree(path), name=f"remove {path.name}")

    async def _as_user(self, what: str, argv: tuple[str, ...]) -> None:
        job = Job(
            app=self.name, name=f"{self.name}-{what}", argv=argv, cwd=self.layout.trees, env={},
            timeout=LIMIT, log_file=self.layout.logs / f"{what}.log",
        )  # fmt: skip
        result = await self.jobs.run(job)
        if not result.ok:
            raise SlotError(
                f"{self.name}: the app's user could not {what} {argv[-1]}: {result.ending}",
                detail=last_lines(job.log_file, job.env),
                remedy="let root see to its directories, then try again: sudo bluegreen apply",
            )
