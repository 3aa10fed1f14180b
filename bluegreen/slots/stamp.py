"""The stamp that makes a tree count as good, beside the tree: ``12-green.json``.

It is written last and removed first, so that whatever is found without one is the remains of a
failure, an interruption or a half-done removal.
"""

from __future__ import annotations

import json
import re
import stat
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from bluegreen.files import sync_directory, write_atomically
from bluegreen.model import Slot

MODE = 0o600
_TREE = re.compile(r"([1-9]\d{0,17})-(blue|green)")
_BESIDE = re.compile(
    r"\.?([1-9]\d{0,17}-(?:blue|green))\.(?:json|draft|assets)(?:\.[0-9a-f]{8}\.tmp)?"
)  # with what a write that was killed leaves behind


@dataclass(frozen=True, kw_only=True)
class TreeInfo:
    """What a complete tree holds. ``recipe`` and ``source`` are digests, ``bytes`` are on disk."""

    version: str
    commit: str | None
    slot: Slot
    operation: int
    recipe: str  # of the build steps, their environments, the slot's addresses, what is shared
    bytes: int
    source: str | None = None  # of a directory that it was copied from


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is known of a tree before it is complete, for the stamp."""

    source: str | None = None
    recipe: str | None = None


def named(tree: Path) -> tuple[int, Slot] | None:
    """The operation and the slot in a tree's name; None when it is not one of our names."""
    match = _TREE.fullmatch(tree.name)
    return (int(match[1]), Slot(match[2])) if match else None


def stamp_of(tree: Path) -> Path:
    return tree.with_name(f"{tree.name}.json")


def _draft_of(tree: Path) -> Path:
    return tree.with_name(f"{tree.name}.draft")


def is_directory(path: Path) -> bool:
    """Whether it is a directory itself, not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def trees_in(directory: Path) -> list[Path]:
    """Our trees, complete or not, of the latest operation first. Blocking."""
    if not directory.is_dir():
        return []
    found = [(named(path), path) for path in directory.iterdir() if is_directory(path)]
    ours = [(name, path) for name, path in found if name is not None]
    return [path for _, path in sorted(ours, reverse=True)]


def beside(directory: Path) -> list[tuple[Path, Path]]:
    """What there is beside trees, or was, each with the tree that it belongs to. Blocking."""
    if not directory.is_dir():
        return []
    matches = [(path, _BESIDE.fullmatch(path.name)) for path in directory.iterdir()]
    return [(path, directory / match[1]) for path, match in matches if match is not None]


def read_stamp(tree: Path) -> TreeInfo | None:
    """What the stamp says; None for a tree without, or one that is not ours. Blocking, short."""
    name = named(tree)
    try:
        if name is None or not is_directory(tree):
            return None
        data = json.loads(stamp_of(tree).read_text())
        info = TreeInfo(**{**data, "slot": Slot(data["slot"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None  # unreadable counts as absent: the tree is then built again
    texts = (info.version, info.recipe)
    optional = (info.commit, info.source)
    sound = (
        all(isinstance(text, str) for text in texts)
        and all(text is None or isinstance(text, str) for text in optional)
        and isinstance(info.bytes, int)
        and (info.operation, info.slot) == name
    )
    return info if sound else None


def write_stamp(tree: Path, info: TreeInfo) -> None:
    """Declare the tree good, durably, and drop its draft. Raises OSError. Blocking."""
    write_atomically(stamp_of(tree), json.dumps(asdict(info), indent=2) + "\n", mode=MODE)
    _draft_of(tree).unlink(missing_ok=True)


def read_draft(tree: Path) -> Draft:
    """What was noted of an incomplete tree. Blocking, short."""
    try:
        data = json.loads(_draft_of(tree).read_text())
    except (FileNotFoundError, ValueError):
        return Draft()
    return Draft(**{field.name: data.get(field.name) for field in fields(Draft)})


def write_draft(tree: Path, draft: Draft) -> None:
    """Raises OSError. Blocking."""
    write_atomically(_draft_of(tree), json.dumps(asdict(draft)) + "\n", mode=MODE)


def remove_stamp(tree: Path) -> None:
    """Durably make the tree count for nothing. Raises OSError. Blocking."""
    if not tree.parent.is_dir():
        return
    stamp_of(tree).unlink(missing_ok=True)
    _draft_of(tree).unlink(missing_ok=True)
    sync_directory(tree.parent)
