"""What the rest of bluegreen may ask of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from bluegreen.model import Release
from bluegreen.sources.comparison import Comparison


class Source(Protocol):
    """A place that releases come from."""

    async def resolve(self, version: str, *, pinned: str | None = None) -> Release:
        """Pin ``version`` to what will run, and have it at hand for ``lay_out``.

        ``pinned``: the commit that it has to be, whatever the version names by now.

        Bounded by the source's timeout. Raises UsageError on a malformed version and SourceError
        when there is no such version or it cannot be had. What is already cached is still given
        when the remote fails, with a warning.
        """
        ...

    async def compare(self, version: str, since: str | None) -> Comparison:
        """What ``version`` is, and how it differs from the commit ``since``.

        Beside whatever else is done with the source, and without leaving anything. Raises
        UsageError and SourceError as ``resolve`` does.
        """
        ...

    async def lay_out(self, release: Release, tree: Path) -> None:
        """Fill the not yet existing directory ``tree`` with exactly that release.

        Complete, or SourceError; then, as after a cancellation, a half-filled ``tree`` may be
        left behind.
        """
        ...
