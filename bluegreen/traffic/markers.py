"""The marker files of an app: the one truth of where its traffic goes.

``apps/APP/traffic`` holds ``blue`` or ``green`` once the app has been deployed, and ``closed``
while the site answers 503, or what the app replaces serves it. A switch is one ``rename(2)``, and
so is the first one, of ``closed``: at no instant are two slots named, and at none is neither said.
``hold`` is there while new requests wait, whichever slot is named; it says until when.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from bluegreen.files import rename_durably, sync_directory, write_atomically
from bluegreen.gate import hold_file
from bluegreen.gate.hold_file import HOLD
from bluegreen.model import Hold, Slot, Traffic

CLOSED = "closed"


@dataclass(frozen=True)
class Markers:
    """The markers in one directory. Every method raises OSError when the disk refuses."""

    directory: Path

    def present(self) -> list[Slot]:
        """The slots that are named: one, none before the first deploy, two after a meddling."""
        directory = os.fspath(self.directory)
        return [slot for slot in Slot if os.path.isfile(f"{directory}/{slot.value}")]

    @property
    def closed(self) -> bool:
        return os.path.isfile(f"{os.fspath(self.directory)}/{CLOSED}")

    def switch(self, to: Slot) -> None:
        """Name ``to`` and only ``to``. The first switch of all opens the site, too."""
        target = self.directory / to.value
        if self._rename(to.other.value, to.value) or target.is_file():
            return
        if not self._rename(CLOSED, to.value):
            self._create(to.value)

    def forget(self) -> None:
        """As before the first switch: the site is closed and no slot is named."""
        for slot in self.present():
            self._rename(slot.value, CLOSED)
        self.close()

    def close(self) -> None:
        self._create(CLOSED)

    def open(self) -> None:
        self._remove(CLOSED)

    @property
    def held(self) -> Hold | None:
        """The hold that goes on."""
        return hold_file.read(self.directory)

    def hold(self, hold: Hold) -> None:
        """Have requests wait, or wait until another time."""
        text = hold_file.encode(hold)
        write_atomically(self.directory / HOLD, text, for_all=True)

    def release(self) -> None:
        self._remove(HOLD)

    def restore(self, traffic: Traffic) -> None:
        """Name again what ``traffic`` says."""
        if traffic.active is None:
            self.forget()
            return
        self.switch(traffic.active)
        if traffic.closed:
            self.close()
        else:
            self.open()

    def _rename(self, source: str, target: str) -> bool:
        """Whether there was a ``source``."""
        try:
            rename_durably(self.directory / source, self.directory / target)
        except FileNotFoundError:
            return False
        return True

    def _create(self, name: str) -> None:
        if not self.directory.is_dir():
            self.directory.mkdir(parents=True, exist_ok=True)
            sync_directory(self.directory.parent)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.directory / name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        sync_directory(self.directory)

    def _remove(self, name: str) -> None:
        try:
            os.unlink(self.directory / name)
        except FileNotFoundError:
            return
        sync_directory(self.directory)
