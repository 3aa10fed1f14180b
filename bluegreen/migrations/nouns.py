"""The nouns of an app's own migrations: frozen records and enums without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bluegreen.model import Slot


@dataclass(frozen=True, kw_only=True)
class MigrationPlace:
    """A release's tree in which migrations are run, as which version, and for which slot."""

    version: str
    slot: Slot
    tree: Path


class MigrationChange(StrEnum):
    """What became of a migration."""

    APPLIED = "applied"
    MARKED = "marked"  # as applied, by an operator's word
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, kw_only=True)
class AppliedMigration:
    """What became of a migration last, as far as bluegreen knows. ``at`` is Unix seconds."""

    name: str
    change: MigrationChange
    operation: int
    place: MigrationPlace
    at: float
    succeeded: bool  # the operation that applied it
    named: bool = True  # by the app's own ``check``, so that it can be undone by name
    commit: str | None = None  # of the release in whose tree; None: not known

    def is_of(self, version: str | None, commit: str | None) -> bool:
        """Whether it is of a release itself: by its commit, as a branch is deployed from many.

        By its version where a commit is not known, as of a directory.
        """
        if self.commit is not None and commit is not None:
            return self.commit == commit
        return self.place.version == version
