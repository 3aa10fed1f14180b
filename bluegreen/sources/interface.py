"""What the rest of bluegreen may ask of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from bluegreen.model import Release


class Source(Protocol):
    """A place that releases come from."""

    async def resolve(self, version: str) -> Release:
        """Pin ``version`` to what will run, and have it at hand for ``lay_out``.

        Bounded by the source's timeout. Raises UsageError on a malformed version and SourceError
        when there is no such version or it cannot be had. What is already cached is still given
        when the remote fails, with a warning.
        """
        ...

    async def lay_out(self, release: Release, tree: Path) -> None:
        """Fill the not yet existing directory ``tree`` with exactly that release.

        Complete, or SourceError; then, as after a cancellation, a half-filled ``tree`` may be
        left behind.
        """
        ...
