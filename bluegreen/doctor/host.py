"""The host itself: room on its disks, its clock, and under systemd what root has written for it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from pathlib import Path

from bluegreen.config.load import InvalidConfiguration
from bluegreen.doctor.nouns import Look
from bluegreen.errors import BluegreenError, SupervisorError
from bluegreen.host.apply import Host, Plan
from bluegreen.host.places import HostLayout
from bluegreen.host.systemd import unit_property, version
from bluegreen.layout import Layout
from bluegreen.sources.disk_space import free_bytes

LEAST_ROOM = 512 * 2**20  # bytes
LEAST_INODES = 0.03  # of all
AHEAD = 5.0  # seconds that a file may be newer than the clock
OLDEST_SYSTEMD = 247  # Debian 11's
NAMED = 5  # files that are named of those that differ
_UNSYNCHRONISED = 5  # adjtimex(2) returns TIME_ERROR
_TIMEX = 512  # bytes, more than struct timex has


def look_at_disks(layout: Layout) -> Look:
    """Room for releases, their logs and the store. Blocking, short."""
    look = Look("disk")
    places = {_first_there(place).stat().st_dev: place for place in (layout.logs, layout.state)}
    for place in places.values():
        there = _first_there(place)
        free = free_bytes(there)
        look.seen.append(f"{free // 2**20} MiB free for {place}")
        if free < LEAST_ROOM:
            look.find(
                f"{free // 2**20} MiB are free on the disk of {place}: a release may not fit",
                f"free some space; see what takes it: du -xsh {there}/*",
            )
        status = os.statvfs(there)
        if status.f_files and status.f_favail < LEAST_INODES * status.f_files:
            look.find(
                f"the disk of {place} has hardly any room for more files ({status.f_favail} left)",
                f"remove what nobody needs; see what has many: du --inodes -xs {there}/*",
            )
    return look


def _first_there(place: Path) -> Path:
    return next(one for one in (place, *place.parents) if one.exists())


def look_at_clock(layout: Layout) -> Look:
    """Deadlines, windows and tokens are by it. Blocking, short."""
    look = Look("clock")
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))
    if state == _UNSYNCHRONISED:
        look.find(
            "nothing keeps this host's clock synchronised",
            "let something do it: timedatectl set-ntp true; or see what should: timedatectl",
        )
    else:
        look.seen.append("synchronised")
    newest = max((file.stat().st_mtime for file in _written(layout) if file.exists()), default=0.0)
    if newest > time.time() + AHEAD:
        look.find(
            f"the clock was set back: the store was written {newest - time.time():.0f} s from now",
            "see that it is right: timedatectl; what began before the jump shows wrong times",
        )
    return look


def _written(layout: Layout) -> tuple[Path, ...]:
    return layout.database, layout.database.with_name(f"{layout.database.name}-wal")


async def look_at_systemd(layout: HostLayout) -> Look:
    """Whether it is new enough, and units, directories and rules are as ``apply`` writes them."""
    look = Look("systemd")
    try:
        found = await version()
        look.seen.append(f"version {found}")
        if found < OLDEST_SYSTEMD:
            look.find(f"systemd {found} is too old", f"{OLDEST_SYSTEMD} or newer is needed")
        for unit in ("bluegreen.service", "nginx.service"):
            if await unit_property(unit, "UnitFileState") not in ("enabled", "enabled-runtime"):
                look.find(f"{unit} is not started when the host boots", f"systemctl enable {unit}")
        _compare(look, await Host(layout).plan())
    except InvalidConfiguration:
        look.seen.append("not compared with the app files, of which some cannot be used")
    except BluegreenError as error:
        look.find_error(error)
    except (PermissionError, FileNotFoundError) as error:
        if os.geteuid() == 0:
            raise SupervisorError(
                f"{error.filename}: {error.strerror}", remedy="see what is in its place"
            ) from error
        look.unseen.append("whether units, directories and rules are as apply writes them")
    return look


def _compare(look: Look, plan: Plan) -> None:
    named = [f"{change.kind} {change.path}" for change in plan.changes]
    named += [f"directory {directory}" for directory in plan.directories]
    named += plan.actions
    if named:
        more = [f"and {len(named) - NAMED} more"] if len(named) > NAMED else []
        look.find(
            "what root has written for bluegreen is not what the app files ask for",
            "see all of it: bluegreen apply --dry-run; then: sudo bluegreen apply",
            *named[:NAMED], *more,
        )  # fmt: skip
    else:
        look.seen.append("units, directories and rules are as the app files ask for")
    for warning in plan.warnings:
        what, _, remedy = warning.partition("; ")
        look.find(what, remedy or "see docs/production.md of bluegreen")


async def look_at_host(layout: Layout) -> list[Look]:
    looks = [
        await asyncio.to_thread(look_at_disks, layout),
        await asyncio.to_thread(look_at_clock, layout),
    ]
    if isinstance(layout, HostLayout):
        looks.append(await look_at_systemd(layout))
    return looks
