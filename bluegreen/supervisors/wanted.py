"""The marks of the slots whose services are to run: what a host that boots starts.

Each says in its first line which version it is about, and in those after it, ``NAME=VALUE``, which
variables that version has a default for. All of it blocks on the disk and raises OSError.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path

from bluegreen.files import sync_directory, sync_file, write_atomically
from bluegreen.layout import Layout
from bluegreen.model import Slot


def path(layout: Layout, app: str, slot: Slot) -> Path:
    return layout.app(app).wanted / slot.value


def write(layout: Layout, app: str, slot: Slot, version: str, defaults: Mapping[str, str]) -> bool:
    """Say that the slot is to run, for its services too; whether it did not say so before.

    One that says so keeps its time. It survives a power cut once it is ``keep``-t.
    """
    mark = path(layout, app, slot)
    lines = [version, *(f"{name}={value}" for name, value in defaults.items())]
    text = "".join(f"{line}\n" for line in lines)
    with contextlib.suppress(FileNotFoundError):
        if mark.read_text() == text:
            return False
    write_atomically(mark, text, durable=False, for_all=True)
    return True


def keep(layout: Layout, app: str, slot: Slot) -> None:
    """Have the disk hold what `write` wrote; fine when it was removed since."""
    mark = path(layout, app, slot)
    with contextlib.suppress(FileNotFoundError):
        sync_file(mark)
        sync_directory(mark.parent)


def remove(layout: Layout, app: str, slot: Slot) -> None:
    mark = path(layout, app, slot)
    with contextlib.suppress(FileNotFoundError):
        mark.unlink()
        sync_directory(mark.parent)


def remove_others(layout: Layout, kept: Collection[tuple[str, Slot]]) -> None:
    """Remove the marks of all slots but those of ``kept``: they would run after a reboot."""
    for app in apps(layout):
        for slot in Slot:
            if (app, slot) not in kept:
                remove(layout, app, slot)


def apps(layout: Layout) -> list[str]:
    """The apps that have a place on this host."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(entry.name for entry in (layout.state / "apps").iterdir() if entry.is_dir())
    return []
