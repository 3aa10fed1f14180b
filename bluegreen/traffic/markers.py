"""The marker files of an app: the one truth of where its traffic goes.

``apps/APP/traffic`` holds ``blue`` or ``green`` once the app has been deployed, and
``special/closed`` while the site answers 503, or what the app replaces serves it. A switch is one
``rename(2)``, and so is the first one, of ``closed``: at no instant are two slots named, and at
none is neither said. ``special/hold`` is there while new requests wait, whichever slot is named; it
says until when. ``special`` itself goes with the last of what is in it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from bluegreen.files import rename_durably, sync_directory, write_atomically
from bluegreen.gate import hold_file
from bluegreen.gate.hold_file import CLOSED, HOLD, SPECIAL
from bluegreen.model import Hold, Slot, Traffic


@dataclass(frozen=True)
class Markers:
    """The markers in one directory. Every method raises OSError when the disk refuses."""

    directory: Path

    @property
    def special(self) -> Path:
        return self.directory / SPECIAL

    def present(self) -> list[Slot]:
        """The slots that are named: one, none before the first deploy, two after a meddling."""
        directory = os.fspath(self.directory)
        return [slot for slot in Slot if os.path.isfile(f"{directory}/{slot.value}")]

    @property
    def closed(self) -> bool:
        return os.path.isfile(f"{os.fspath(self.directory)}/{SPECIAL}/{CLOSED}")

    def switch(self, to: Slot) -> None:
        """Name ``to`` and only ``to``. The first switch of all opens the site, too."""
        target = self.directory / to.value
        if self._rename(self.directory / to.other.value, target) or target.is_file():
            return
        if self._rename(self.special / CLOSED, target):
            self.leave_special()
        else:
            self._create(target)

    def forget(self) -> None:
        """As before the first switch: the site is closed and no slot is named."""
        for slot in self.present():
            self._enter_special()
            self._rename(self.directory / slot.value, self.special / CLOSED)
        self.close()

    def close(self) -> None:
        self._enter_special()
        self._create(self.special / CLOSED)
        sync_directory(self.directory)

    def open(self) -> None:
        self._remove(self.special / CLOSED)
        self.leave_special()

    @property
    def held(self) -> Hold | None:
        """The hold that goes on."""
        return hold_file.read(self.special)

    def hold(self, hold: Hold) -> None:
        """Have requests wait, or wait until another time."""
        self._enter_special()
        write_atomically(self.special / HOLD, hold_file.encode(hold), for_all=True)
        sync_directory(self.directory)

    def release(self) -> None:
        self._remove(self.special / HOLD)
        self.leave_special()

    def leave_special(self) -> None:
        """With the last marker that was in it; what a killed daemon has half done is done, too."""
        with contextlib.suppress(FileNotFoundError):
            if not {CLOSED, HOLD}.isdisjoint(names := os.listdir(self.special)):
                return
            for half_written in names:  # by a daemon that was killed
                os.unlink(self.special / half_written)
            os.rmdir(self.special)
            sync_directory(self.directory)

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

    def _enter_special(self) -> None:
        """Nothing of it counts before there is a marker in it."""
        self._require_directory()
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.special)  # flushed after the marker, which has moved traffic
        # nginx and the gate look into it, whatever the umask.
        self.special.chmod(0o755)

    def _rename(self, source: Path, target: Path) -> bool:
        """Whether there was a ``source``."""
        try:
            rename_durably(source, target)
        except FileNotFoundError:
            return False
        if source.parent != target.parent:
            sync_directory(source.parent)
        return True

    def _require_directory(self) -> None:
        if not self.directory.is_dir():
            self.directory.mkdir(parents=True, exist_ok=True)
            sync_directory(self.directory.parent)

    def _create(self, marker: Path) -> None:
        self._require_directory()
        with contextlib.suppress(FileExistsError):
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        sync_directory(marker.parent)

    def _remove(self, marker: Path) -> None:
        try:
            os.unlink(marker)
        except FileNotFoundError:
            return
        sync_directory(marker.parent)
