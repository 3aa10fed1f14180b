"""Putting restored data in the place of what is there, so that it can be carried on or put back.

What is restored is staged beside its target, on the same file system. The target is moved aside,
what was staged takes its name, and what was moved aside stays until the restore has ended. Each
step sees from the names that exist what is left to be done: it may be repeated after a crash. All
of this blocks on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bluegreen.data.databases import BESIDE
from bluegreen.files import sync_directory
from bluegreen.sources.removal import remove_tree


class Step(StrEnum):
    """What is done with a replacement."""

    CARRY_OUT = "carry-out"
    PUT_BACK = "put-back"
    DISCARD = "discard"
    CLEAR = "clear"


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """One database, file or directory that a restore replaces. Methods raise OSError."""

    target: Path
    operation: int
    goes: bool = False  # nothing takes its place, as nothing was there

    @property
    def staged(self) -> Path:
        return self.target.with_name(f".{self.target.name}.restore-{self.operation}")

    @property
    def replaced(self) -> Path:
        return self.target.with_name(f".{self.target.name}.replaced-{self.operation}")

    @property
    def _was_absent(self) -> Path:
        """Is there where nothing was replaced."""
        return self.target.with_name(f".{self.target.name}.absent-{self.operation}")

    def do(self, step: Step) -> None:
        """Do one of what follows."""
        {
            Step.CARRY_OUT: self.carry_out, Step.PUT_BACK: self.put_back,
            Step.DISCARD: self.discard, Step.CLEAR: self.clear,
        }[step]()  # fmt: skip

    def carry_out(self) -> None:
        """The staged one takes the target's place; nothing happens where it has already."""
        if self.goes:
            self._move_aside()
            return
        if not os.path.lexists(self.staged):
            return
        if not os.path.lexists(self.target) and not os.path.lexists(self.replaced):
            self._was_absent.touch()
        self._move_aside()
        os.rename(self.staged, self.target)
        sync_directory(self.target.parent)

    def _move_aside(self) -> None:
        if not self.target.parent.is_dir():
            return
        # The old database's log goes with it: beside the new one, SQLite would take it for its own.
        for suffix in ("", *BESIDE):
            target = _beside(self.target, suffix)
            if os.path.lexists(target):
                os.rename(target, _beside(self.replaced, suffix))
        sync_directory(self.target.parent)

    def put_back(self) -> None:
        """What was there before takes its place again, if it was moved aside."""
        if not self.target.parent.is_dir():
            return
        moved = os.path.lexists(self.replaced) or os.path.lexists(self._was_absent)
        if moved and os.path.lexists(self.target) and not os.path.lexists(self.staged):
            for suffix in BESIDE:  # of an app that has opened the restored one
                remove_tree(_beside(self.target, suffix))
            os.rename(self.target, self.staged)
        for suffix in ("", *BESIDE):
            replaced = _beside(self.replaced, suffix)
            if os.path.lexists(replaced):
                os.rename(replaced, _beside(self.target, suffix))
        remove_tree(self._was_absent)
        sync_directory(self.target.parent)

    def discard(self) -> None:
        """Remove what was staged."""
        if self.target.parent.is_dir():
            remove_tree(self.staged)
            sync_directory(self.target.parent)

    def clear(self) -> None:
        """Remove what was replaced; its log first, which must never outlive it."""
        if self.target.parent.is_dir():
            for suffix in (*BESIDE, ""):
                remove_tree(_beside(self.replaced, suffix))
            remove_tree(self._was_absent)
            sync_directory(self.target.parent)


def replacements(
    shared: Path, paths: Iterable[str], operation: int, *, absent: Iterable[str] = ()
) -> list[Replacement]:
    """What a restore of ``paths`` replaces; a link is followed to where the data are.

    And what it takes away, of what was ``absent``: of that a link itself has come since.
    """
    found = [
        Replacement(target=Path(os.path.realpath(shared / path)), operation=operation)
        for path in paths
    ]
    for path in map(shared.joinpath, absent):
        target = Path(os.path.realpath(path.parent)) / path.name
        found.append(Replacement(target=target, operation=operation, goes=True))
    return found


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
