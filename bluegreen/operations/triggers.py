"""What an automatic trigger asks for: whether it is to be done at all, and the answer to it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bluegreen.config.version_numbers import version_number
from bluegreen.errors import BluegreenError, NotFoundError, RefusedError
from bluegreen.model import (
    Operation,
    OperationKind,
    OperationState,
    PhaseName,
    Release,
    SlotRecord,
)
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# How an attempt ended that says nothing of the release: the disk was full.
_OF_THE_HOST = frozenset({"store", "store-full"})
_BAD_ENDS = {
    OperationState.FAILED: "failed",
    OperationState.ROLLED_BACK: "was switched back",
    OperationState.CANCELLED: "was cancelled",
    OperationState.INTERRUPTED: "was given up",
}


class NothingToDoError(BluegreenError):
    """What a trigger asks for serves already, as is known once it is fetched."""

    kind: ClassVar[str] = "superseded"


@dataclass(frozen=True, kw_only=True)
class Triggered:
    """What became of an automatic trigger, in words.

    ``operation`` is what it has begun or has wait, or what does the same already; None: nothing
    was begun, and nothing will be.
    """

    operation: Operation | None
    said: str


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A version that a trigger names, and its commit where the trigger knows it."""

    version: str
    commit: str | None = None

    @property
    def named_commit(self) -> str | None:
        """The commit, or how it begins, where that is known."""
        if self.commit is not None:
            return self.commit.lower()
        text = self.version.lower()
        return text if _COMMIT.fullmatch(text) else None

    def is_fixed(self, app: AppRuntime) -> bool:
        """Whether the name means the same release each time: of git, a branch does not."""
        moves = app.settings.source.git is not None and version_number(self.version) is None
        return not moves

    def is_same(self, app: AppRuntime, version: str | None, commit: str | None) -> bool:
        """Whether that is certainly the same release."""
        if (wanted := self.named_commit) is not None and commit is not None:
            return commit.startswith(wanted)
        return self.version == version and (self.is_fixed(app) or self.named_commit is not None)

    def is_older_than(self, version: str | None) -> bool:
        """As far as the two have an order."""
        mine, other = version_number(self.version), version_number(version or "")
        return mine is not None and other is not None and mine < other


async def done_already(
    app: AppRuntime, wanted: Wanted, run: Run | None, waiting: Sequence[Operation]
) -> Triggered | None:
    """The operation that does what is wanted already, or has done it.

    A person's that runs does not count where anything may wait: it is not begun again by itself,
    should it be interrupted. It is looked at once more when the turn has come.
    """
    for one in waiting:
        if one.version == wanted.version:
            return Triggered(
                operation=one, said=f"operation {one.id} waits to deploy {one.version} already"
            )
    if run is not None and run.operation.kind is OperationKind.DEPLOY and _lasts(app, run):
        one = run.operation
        commit = run.release.commit if run.release is not None else None
        unresolved = one.version == wanted.version and PhaseName.FETCH not in run.recorded
        if unresolved or wanted.is_same(app, one.version, commit):
            return Triggered(
                operation=one, said=f"operation {one.id} deploys {one.version} already"
            )
    serving = _serving(app)
    if serving is not None and wanted.is_same(app, serving.version, serving.commit):
        return Triggered(
            operation=await _known(app, serving.operation), said=f"{serving.label} serves already"
        )
    return None


def _lasts(app: AppRuntime, run: Run) -> bool:
    """Whether what a trigger asks for is not lost with it; or would be all the same."""
    return run.operation.automatic or app.settings.queue.policy == "refuse"


async def against(app: AppRuntime, wanted: Wanted) -> str | None:
    """Why no trigger is to deploy that, though a person may; None: nothing is against it."""
    serving = _serving(app)
    if serving is not None and wanted.is_older_than(serving.version):
        return (
            f"{wanted.version} is older than {serving.version}, which serves; a person may deploy "
            f"it: bluegreen rollback {app.name} --to {wanted.version}"
        )
    return await failed_before(app, wanted)


async def failed_before(app: AppRuntime, wanted: Wanted) -> str | None:
    """How its latest attempt ended, where that was no good end, and what follows from it."""
    commit = wanted.named_commit
    if commit is None and not wanted.is_fixed(app):
        return None  # which commit a branch is at is known once it is fetched
    version = wanted.version if commit is None else None
    last = await app.parts.store.waiting.latest_attempt(app.name, version=version, commit=commit)
    if last is None or last.state not in _BAD_ENDS:
        return None
    if last.error is not None and last.error.kind in _OF_THE_HOST:
        return None
    why = "" if last.error is None else f" ({last.error.message})"
    return (
        f"{wanted.version} {_BAD_ENDS[last.state]} in operation {last.id}{why}, and is not tried "
        f"again by a trigger; a person may: bluegreen deploy {app.name} {wanted.version}"
    )


def refuse_served(app: AppRuntime, release: Release) -> None:
    """Raises NothingToDoError for a version and commit that serve, once the commit is known.

    A tag whose name has no order may be a branch, until it is fetched: two deliveries of one
    release, that of its push and that of its publication, are told apart by nothing else.
    """
    serving = _serving(app)
    if serving is None or release.commit is None:
        return
    if (serving.version, serving.commit) == (release.version, release.commit):
        raise NothingToDoError(
            f"{app.name}: {release.label} serves already, by operation {serving.operation}",
            remedy=f"see what serves: bluegreen status {app.name}",
        )


async def refuse_failed(app: AppRuntime, release: Release) -> None:
    """Raises RefusedError for a commit that has failed before, once it is known which it is."""
    if release.commit is None:
        return
    wanted = Wanted(version=release.version, commit=release.commit)
    if (why := await failed_before(app, wanted)) is not None:
        raise RefusedError(
            f"{app.name}: {why.partition('; ')[0]}",
            remedy=f"look why it was; to try it all the same: bluegreen deploy {app.name} "
            f"{release.version}",
        )


def _serving(app: AppRuntime) -> SlotRecord | None:
    return None if app.active is None else app.slots[app.active]


async def _known(app: AppRuntime, number: int | None) -> Operation | None:
    """The operation, if the history has it: it may be one that was lost."""
    if number is not None:
        with contextlib.suppress(NotFoundError):
            return await app.parts.store.operation(number)
    return None
