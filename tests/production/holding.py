"""Holds a deploy in a named place of what it does, until it is let go on.

Steps that are not the daemon's own wait for a file under ``/run/held``, which a reboot removes.
The daemon's own are held by strace in the middle of a system call; it knows nothing of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from tests.production.asking import begin_deploy, is_in, run_file
from tests.production.caught import RENAMES, Catcher
from tests.production.production import APP, DAEMON, Production
from tests.waiting import eventually

STATE = "/var/lib/bluegreen"
_JOBS = f"bluegreen-{APP}-job@.service"
_MARKER = f"{STATE}/apps/{APP}/traffic/blue"  # the name that it is moved from
WAIT = "/bin/sh -c 'while [ -e /run/held/{} ]; do sleep 0.02; done'"
WATCH = "2s"
OPTIONS: dict[str, Any] = {
    "services": ("web", "api", "terminal"), "watch": WATCH, "healthy_for": "0.2s",
    "interval": "0.1s",
    "deadline": "90s",  # what is held in its gate does not end there, however busy the machine is
    "extra": f"""
[[build]]
name = "hold"
run = "{WAIT.format("build")}"

[[gate.probes]]
service = "api"
command = {{ run = "/usr/bin/test ! -e /run/held/gate" }}

[[watch.probes]]
service = "api"
http = {{ path = "/api/health" }}
""",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place in a deploy of v2 to green, while blue serves v1.

    ``calls`` are system calls of the daemon on ``path``, and it is held before or after them.
    Without one it is a file that holds, or the time that the phase takes.
    """

    phase: str
    file: str | None = None
    calls: str | None = None
    path: str = ""
    after: bool = False
    killed: str  # how the operation ends after a SIGKILL there
    told: str  # how it ends after a SIGTERM there

    def __str__(self) -> str:
        if self.calls is None:
            return self.phase
        return f"{self.phase}, {'after' if self.after else 'before'} {self.calls}"


UNDONE, DONE = "interrupted", "succeeded"
POINTS = (
    Point(phase="preflight", calls="statfs", path=STATE, killed=UNDONE, told=UNDONE),
    Point(phase="fetch", killed=UNDONE, told=UNDONE),
    Point(phase="build", file="build", killed=UNDONE, told=UNDONE),
    Point(phase="start", file="start", killed=UNDONE, told=UNDONE),
    Point(phase="gate", file="gate", killed=UNDONE, told=UNDONE),
    # A SIGTERM lets it be finished: half a switch does not exist.
    Point(phase="switch", calls=RENAMES, path=_MARKER, killed=UNDONE, told=DONE),
    Point(phase="switch", calls=RENAMES, path=_MARKER, after=True, killed=DONE, told=DONE),
    Point(phase="watch", killed=DONE, told=DONE),
    Point(phase="settle", file="job", killed=DONE, told=DONE),
)


async def set_up(production: Production) -> None:
    """v1 serves in blue, v2 is hot in green; what is deployed next can be held."""
    _install(production)
    await production.set_up(**OPTIONS)
    for version in ("v1", "v2"):
        await production.deploy(version)
    await production.bluegreen("switch", "back")


def at(phase: str) -> Point:
    """The first place in ``phase``."""
    return next(point for point in POINTS if point.phase == phase)


def _install(production: Production) -> None:
    """Let the units of the app wait while they are held."""
    units = production.path("/etc/systemd/system")
    for unit, name in ((f"bluegreen-{APP}-api@.service", "start"), (_JOBS, "job")):
        drop_in = units / f"{unit}.d/hold.conf"
        drop_in.parent.mkdir()
        drop_in.write_text(f"[Service]\nExecStartPre={WAIT.format(name)}\n")


class Hold:
    """What holds a deploy now."""

    def __init__(self, production: Production, point: Point) -> None:
        self._production = production
        self._point = point
        self._catcher = Catcher(production)

    @contextlib.asynccontextmanager
    async def at_its_point(self) -> AsyncIterator[Hold]:
        """Begin a deploy of v2 and have it come to the point."""
        point, production = self._point, self._production
        with contextlib.ExitStack() as held:
            if point.phase == "fetch":
                held.enter_context(self._git_cache())
            if point.file is not None and point.file != "job":
                held.enter_context(self._file(point.file))
            try:
                if point.calls is not None:
                    when = {"after" if point.after else "before": [point.calls]}
                    await self._catcher.attach([point.path], **when)
                await begin_deploy(production, "v2")
                if point.file == "job":  # the release before needs jobs too
                    await eventually(lambda: is_in(production, "watch"), "it is watched")
                    held.enter_context(self._file(point.file))
                await eventually(lambda: is_in(production, point.phase), f"it is in {point}")
                if point.calls is not None:
                    held_there = functools.partial(self._catcher.has, point.path)
                    await eventually(held_there, f"it is held {point}")
                yield self
            finally:
                await self.let_go_of_daemon()

    async def until_told(self, ending: asyncio.Task[Any]) -> None:
        """Let go of the daemon once ``ending`` has told it to end, and await that."""

        async def is_told() -> bool:
            return ending.done() or await self._production.unit(DAEMON, "ActiveState") != "active"

        await eventually(is_told, "the daemon is told to end")
        await self.let_go_of_daemon()
        await ending

    async def let_go_of_daemon(self) -> None:
        """It may make the call that it is held in; what else holds stays."""
        await self._catcher.let_go()

    @contextlib.contextmanager
    def _file(self, name: str) -> Iterator[None]:
        file = run_file(self._production, f"held/{name}")
        file.parent.mkdir(exist_ok=True)
        file.touch()
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):  # another boot by now
                file.unlink()

    @contextlib.contextmanager
    def _git_cache(self) -> Iterator[None]:
        lock = self._production.path(f"{STATE}/apps/{APP}/cache/git.lock")
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
