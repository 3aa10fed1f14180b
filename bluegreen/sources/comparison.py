"""What lies between two versions."""

from __future__ import annotations

from dataclasses import dataclass

from bluegreen.model import Release

MOST_COMMITS = 30  # that are named; all are counted


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One of them. ``at`` is Unix seconds; ``subject`` is fit to print."""

    id: str
    at: float
    subject: str


@dataclass(frozen=True, kw_only=True)
class Commits:
    """The newest `MOST_COMMITS`, newest first, of ``count``."""

    count: int
    newest: tuple[Commit, ...]


NONE = Commits(count=0, newest=())


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A version, and what its commits bring and take back; ``unknown`` is why nobody can tell."""

    release: Release
    added: Commits = NONE
    dropped: Commits = NONE
    unknown: str | None = None
