"""The keys with which the idle slot of an app is seen through its site.

``apps/APP/previews`` holds a file ``SLOT-KEY`` for each: nginx looks whether it is there, and lets
whoever shows the key through to that slot, while that is not the one that serves. A key is issued
and revoked without a reload, and stands in no file of nginx's. So that other requests pay nothing
for it, nginx looks only while there is a marker ``special/previews``: it comes before the first key
and goes after the last one.

The name is the secret. So nobody but the daemon may list the directory; nginx, which only asks for
names, needs no more than to pass through it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bluegreen.files import sync_directory, write_atomically
from bluegreen.layout import AppLayout
from bluegreen.model import Slot
from bluegreen.traffic.markers import Markers

LONGEST_PREVIEW = 7 * 86400.0  # seconds
HEADER = "X-Bluegreen-Preview"  # with the key, in a request
SLOT_HEADER = "X-Bluegreen-Slot"  # with the slot, in the answer
_DIRECTORY_MODE = 0o711
_KEY_BYTES = 16
_NAME = re.compile(r"(blue|green)-([0-9a-f]{32})")


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A key that was issued. ``operation`` is whose it is; None: a person asked for it."""

    key: str = field(repr=False)
    slot: Slot
    until: float  # Unix seconds
    by: str
    operation: int | None = None

    @property
    def name(self) -> str:
        return f"{self.slot}-{self.key}"


@dataclass(frozen=True)
class Previews:
    """The keys of one app. Blocking; every method raises OSError when the disk refuses."""

    directory: Path
    markers: Markers

    @classmethod
    def of(cls, app: AppLayout) -> Previews:
        return cls(app.previews, Markers(app.traffic))

    def issue(self, slot: Slot, *, until: float, by: str, operation: int | None = None) -> Preview:
        """A new key, which nginx knows when this returns."""
        made = Preview(
            key=secrets.token_hex(_KEY_BYTES), slot=slot, until=until, by=by, operation=operation
        )
        text = json.dumps({"until": until, "by": by, "operation": operation})
        with self.markers.alone():
            self.markers.look_for_keys(True)  # first: whoever is killed now has issued nothing
            try:
                self._make_directory()
                write_atomically(self.directory / made.name, text, mode=0o600)
            except OSError:
                with contextlib.suppress(OSError):
                    self.settle()
                raise
        return made

    def present(self) -> list[Preview]:
        """Those that nginx knows. One whose file says nothing that is right has run out."""
        return [self._read(slot, key) for slot, key in self._names()]

    def revoke(self, preview: Preview) -> None:
        with self.markers.alone():
            with contextlib.suppress(FileNotFoundError):
                (self.directory / preview.name).unlink()
                sync_directory(self.directory)
            self.settle()

    def settle(self) -> None:
        """Have nginx look for keys while there is one, whatever was interrupted."""
        with self.markers.alone():
            self.markers.look_for_keys(any(self._names()))

    def remove_unfinished(self) -> None:
        """What a write that was cut off has left."""
        with contextlib.suppress(FileNotFoundError):
            for path in self.directory.glob(".*.tmp"):
                path.unlink(missing_ok=True)

    def _names(self) -> Iterator[tuple[Slot, str]]:
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return
        for name in names:
            if (match := _NAME.fullmatch(name)) is not None:
                yield Slot(match[1]), match[2]

    def _read(self, slot: Slot, key: str) -> Preview:
        until, by, operation = 0.0, "", None
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            document = json.loads((self.directory / f"{slot}-{key}").read_text())
            until, by = float(document["until"]), str(document["by"])
            if document["operation"] is not None:
                operation = int(document["operation"])
        return Preview(key=key, slot=slot, until=until, by=by, operation=operation)

    def _make_directory(self) -> None:
        if not self.directory.is_dir():
            self.directory.mkdir(parents=True)
            sync_directory(self.directory.parent)
        # Whatever the umask is, and whoever has restored it from somewhere.
        os.chmod(self.directory, _DIRECTORY_MODE)
