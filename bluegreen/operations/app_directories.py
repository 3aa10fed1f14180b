"""What an app needs on disk before its first release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bluegreen.data.work import remove_leftovers
from bluegreen.errors import RefusedError
from bluegreen.layout import AppLayout, Layout
from bluegreen.sources.removal import remove_tree


def make(app: str, layout: Layout) -> None:
    """Make those of its directories that are missing. Blocking.

    What can be made is made in any case. Raises RefusedError for what cannot.
    """
    failed: OSError | None = None
    for directory in _directories(layout.app(app)):
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            failed = failed or error
    if failed is not None:
        raise _refusal(app, layout, "made", failed) from failed


def clear(app: str, layout: Layout) -> None:
    """Remove what work of an earlier daemon has left. Blocking. Raises RefusedError."""
    own = layout.app(app)
    try:
        remove_tree(own.plans)
        remove_leftovers(own)
    except OSError as error:
        raise _refusal(app, layout, "removed", error) from error


def _refusal(app: str, layout: Layout, what: str, error: OSError) -> RefusedError:
    return RefusedError(
        f"{app}: {error.filename or layout.app(app).base} cannot be {what}: {error.strerror}",
        remedy="let the user that runs the daemon write there, with some room on the disk (df -h); "
        f"then: {layout.remedies.take_up}",
    )


def _directories(layout: AppLayout) -> Iterator[Path]:
    """Where it has a user of its own, that user's directories are root's to make (``apply``)."""
    yield layout.logs / "operations"
    yield layout.logs / "services"
    if not layout.has_own_user:
        yield from (layout.slots, layout.trees, layout.shared, layout.cache)
        yield from (layout.traffic, layout.run, layout.backups)
