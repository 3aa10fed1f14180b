"""The marker files of an app: the one truth of where its traffic goes.

``apps/APP/traffic`` holds ``blue`` or ``green`` once the app has been deployed, and
``special/closed`` while the site answers 503, or what the app replaces serves it. A switch is one
``rename(2)``, and so is the first one, of ``closed``: at no instant are two slots named, and at
none is neither said. ``special/hold`` is there while new requests wait, whichever slot is named; it
says until when. ``special/previews`` is there while nginx is to look for a key of a preview, and
``special/watch`` while it is to tell of each request, and ``special/share`` while some clients go
to the other slot.
``special`` itself goes with the last of what is in it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bluegreen.files import rename_durably, sync_directory, write_atomically
from bluegreen.gate import hold_file
from bluegreen.gate.hold_file import CLOSED, HOLD, SPECIAL
from bluegreen.model import Hold, Share, Slot, Traffic
from bluegreen.traffic import shares
from bluegreen.traffic.shares import SHARE

PREVIEWS = "previews"
WATCH = "watch"
SETTLED = 1_000_000_000  # nanoseconds: the file system's clock may stand still for some of them
NEVER = -1  # of a directory that is not there
Stamp = tuple[int, int]  # when the two directories were changed
_MARKERS = frozenset({CLOSED, HOLD, PREVIEWS, SHARE, WATCH})
# By the directory of the markers. Previews come and go in threads of their own, beside what moves
# traffic: what one has just put into ``special`` must not go with what another takes out of it.
_LOCKS: dict[Path, threading.RLock] = {}


@dataclass(frozen=True)
class Markers:
    """The markers in one directory. Every method raises OSError when the disk refuses."""

    directory: Path

    @property
    def special(self) -> Path:
        return self.directory / SPECIAL

    # Paths as text: they are looked at of every app of an overview, and Path takes its time.
    @functools.cached_property
    def _directory(self) -> str:
        return os.fspath(self.directory)

    @functools.cached_property
    def _named(self) -> tuple[tuple[Slot, str], ...]:
        return tuple((slot, f"{self.directory}/{slot.value}") for slot in Slot)

    @functools.cached_property
    def _closed(self) -> str:
        return f"{self.directory}/{SPECIAL}/{CLOSED}"

    @functools.cached_property
    def _special(self) -> str:
        return f"{self.directory}/{SPECIAL}"

    def present(self) -> list[Slot]:
        """The slots that are named: one, none before the first deploy, two after a meddling."""
        return [slot for slot, path in self._named if _is_file(path)]

    @property
    def closed(self) -> bool:
        return _is_file(self._closed)

    def stamp(self) -> Stamp | None:
        """When the markers were last changed; None: so lately that the next time may look the same.

        To be taken before they are read.
        """
        stamp = _changed(self._directory), _changed(self._special)
        is_settled = max(stamp) < time.time_ns() - SETTLED
        return stamp if is_settled and stamp[0] != NEVER else None

    def are_as_of(self, stamp: Stamp) -> bool:
        """Whether they are what they were when that stamp was taken, whoever changes them."""
        above, special = stamp
        # Where there was none, the directory above would have changed with it.
        return _changed(self._directory) == above and (
            special == NEVER or _changed(self._special) == special
        )

    def switch(self, to: Slot) -> None:
        """Name ``to`` and only ``to``. The first switch of all opens the site, too."""
        target = self.directory / to.value
        if self._rename(self.directory / to.other.value, target) or target.is_file():
            return
        with self.alone():
            if self._rename(self.special / CLOSED, target):
                self.leave_special()
            else:
                self._create(target)

    def forget(self) -> None:
        """As before the first switch: the site is closed and no slot is named."""
        with self.alone():
            for slot in self.present():
                self._enter_special()
                self._rename(self.directory / slot.value, self.special / CLOSED)
            self.close()

    def close(self) -> None:
        with self.alone():
            self._enter_special()
            self._create(self.special / CLOSED)
            sync_directory(self.directory)

    def open(self) -> None:
        with self.alone():
            self._remove(self.special / CLOSED)
            self.leave_special()

    @property
    def held(self) -> Hold | None:
        """The hold that goes on."""
        return hold_file.read(self._special)

    def hold(self, hold: Hold) -> None:
        """Have requests wait, or wait until another time."""
        with self.alone():
            self._enter_special()
            write_atomically(self.special / HOLD, hold_file.encode(hold), for_all=True)
            sync_directory(self.directory)

    def release(self) -> None:
        with self.alone():
            self._remove(self.special / HOLD)
            self.leave_special()

    @property
    def share(self) -> Share | None:
        """Who goes to the other slot already."""
        return shares.read(self._special)

    def grow_share(self, share: Share) -> None:
        """Let so many clients go there, and those that do already go on doing so."""
        with self.alone():
            self._enter_special()
            shares.grow(self.special, share)
            sync_directory(self.directory)

    def end_share(self) -> None:
        """Let everybody go where the marker says, at once."""
        with self.alone():
            if shares.end(self.special):
                self.leave_special()

    def look_for_keys(self, any_left: bool) -> None:
        """Have nginx look for keys of previews, or let it be.

        Not flushed: after a power cut nothing runs that could be seen, until a daemon starts, and
        that does this anew.
        """
        self._be_there(PREVIEWS, any_left)

    def tell_of_requests(self, told: bool) -> None:
        """Have nginx tell of each request, or be silent. Not flushed, as `look_for_keys`."""
        self._be_there(WATCH, told)

    def _be_there(self, marker: str, there: bool) -> None:
        with self.alone():
            if there:
                self._enter_special()
                (self.special / marker).touch()
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.special / marker)
            self.leave_special()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Within it nobody else of this daemon changes what is in ``special``."""
        with _LOCKS.setdefault(self.directory, threading.RLock()):
            yield

    def leave_special(self) -> None:
        """With the last marker that was in it; what a killed daemon has half done is done, too."""
        with self.alone(), contextlib.suppress(FileNotFoundError):
            shares.forget_begun(self.special)
            if not _MARKERS.isdisjoint(names := os.listdir(self.special)):
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


def _changed(path: str) -> int:
    """When something in that directory came, went or got another name, by nanoseconds."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return NEVER


def _is_file(path: str) -> bool:
    """As `os.path.isfile`, in half the time where there is nothing, as mostly here."""
    return os.access(path, os.F_OK) and os.path.isfile(path)
