"""Which clients go to the other slot already, while a release takes over in steps.

All clients are parted in a hundred by nginx, and the directory ``special/share`` among the markers
of an app has a file ``SLOT-N`` for each part that goes to SLOT: at 25 percent those from 1 to 25.
So who is in a smaller share is in a larger one, and any share is made without a reload. With one
rename of the directory everybody is back.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from bluegreen.files import rename_durably, sync_directory
from bluegreen.model import Share, Slot

SHARE = "share"
_CLIENTS = re.compile(r"(blue|green)-(\d+)")


def read(special: str) -> Share | None:
    """The share that the directory ``special`` says; the larger one, should it say two."""
    try:
        names = os.listdir(f"{special}/{SHARE}")
    except OSError:
        return None
    found = [match.groups() for name in names if (match := _CLIENTS.fullmatch(name))]
    if not found:
        return None
    slot, _ = max(found, key=lambda one: int(one[1]))
    percent = max(int(number) for of, number in found if of == slot)
    return Share(slot=Slot(slot), percent=percent)


def grow(special: Path, share: Share) -> None:
    """Have at least so many go there; those that do already go on doing so. Raises OSError."""
    directory = special / SHARE
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory)
    directory.chmod(0o755)  # nginx looks into it, whatever the umask
    for number in range(1, share.percent + 1):
        os.close(os.open(directory / f"{share.slot}-{number}", os.O_CREAT | os.O_CLOEXEC, 0o644))
    sync_directory(directory)
    os.utime(special)  # whoever has read it has to read again
    sync_directory(special)


def forget_begun(special: Path) -> None:
    """Let go of a share that nobody is in yet: a daemon was killed, or the disk was full."""
    with contextlib.suppress(OSError):  # mostly there is none, or somebody is in it
        os.rmdir(special / SHARE)


def end(special: Path) -> bool:
    """Have everybody back at once; whether anybody was away. Raises OSError."""
    over = special.parent / f".{SHARE}.over"
    shutil.rmtree(over, ignore_errors=True)  # of a daemon that was killed
    try:
        rename_durably(special / SHARE, over)
    except FileNotFoundError:
        return False
    sync_directory(special)
    shutil.rmtree(over, ignore_errors=True)
    return True
