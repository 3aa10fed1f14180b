"""The nouns: frozen records and enums without I/O. Everything else is built on these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Slot(StrEnum):
    """One of an app's two places for a release."""

    BLUE = "blue"
    GREEN = "green"

    @property
    def other(self) -> Slot:
        return Slot.GREEN if self is Slot.BLUE else Slot.BLUE


class SlotState(StrEnum):
    """What a slot holds. Which slot is *active* is not said here: the traffic marker says it."""

    EMPTY = "empty"  # no release
    COLD = "cold"  # a built release, not running
    STARTING = "starting"  # its processes were started, its gate is not passed yet
    HOT = "hot"  # running and passed its gate


class OperationKind(StrEnum):
    """What is done to an app."""

    DEPLOY = "deploy"
    SWITCH = "switch"
    ROLLBACK = "rollback"
    RESTART = "restart"
    STOP = "stop"
    START = "start"
    BACKUP = "backup"
    RESTORE = "restore"  # its version is the number of the backup
    MIGRATE = "migrate"  # by hand: its version is what is done, such as "rollback 0007_owner"

    @property
    def is_release(self) -> bool:
        """Whether it brings a release into the idle slot, which is to prove itself there."""
        return self in (OperationKind.DEPLOY, OperationKind.ROLLBACK, OperationKind.RESTART)

    @property
    def is_of_data(self) -> bool:
        """Whether it is done to the app's data: no slot is the subject of it."""
        return self in (OperationKind.BACKUP, OperationKind.RESTORE, OperationKind.MIGRATE)


class Lane(StrEnum):
    """One operation at a time runs in a lane of an app; a switch never queues behind a deploy."""

    RELEASE = "release"
    SWITCH = "switch"


class OperationState(StrEnum):
    """Where an operation stands; all but the first two are outcomes and final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"  # had been switched and was switched back
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"  # a switch back, or a newer release, took its place
    INTERRUPTED = "interrupted"  # the daemon ended in the middle, and its successor undid it

    @property
    def is_final(self) -> bool:
        return self not in (OperationState.QUEUED, OperationState.RUNNING)


class PhaseName(StrEnum):
    """The steps of an operation, in the order in which a release takes them."""

    PREFLIGHT = "preflight"
    FETCH = "fetch"
    BUILD = "build"
    MEASURE = "measure"  # ask what the release must leave as it is
    REHEARSE = "rehearse"  # the migrations, on a copy of the data
    HOLD = "hold"  # requests wait at nginx
    DRAIN = "drain"  # both slots finish what they have, and stop
    CHECK = "check"  # which migrations are pending
    MIGRATE = "migrate"  # run the app's migrations, or undo one, on its data
    REVERSE = "reverse"  # undo, newest first, the migrations that came after an older release
    START = "start"
    GATE = "gate"
    PROMOTE = "promote"  # a person is waited for, who lets it go on
    STEPS = "steps"  # some clients go to the new slot, then more
    SWITCH = "switch"
    RELEASE = "release"  # requests that wait go on
    WATCH = "watch"
    SETTLE = "settle"
    OPEN = "open"  # let nginx pass requests to a stopped app again
    CLOSE = "close"  # take the app out of service: nginx answers 503
    STOP = "stop"  # stop the processes of an app's slots
    VERIFY = "verify"  # read a backup and compare it with its manifest
    BACKUP = "backup"  # of the app's data, or of what a restore is about to replace
    STAGE = "stage"  # put a backup's data beside those that it will replace
    RESTORE = "restore"  # put it in their place


class PhaseState(StrEnum):
    """Where a phase stands. ``intent`` is durable before the phase's first side effect."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


class SwitchMode(StrEnum):
    """How nginx is told of a switch."""

    MARKER = "marker"  # one rename(2), seen by the next request; no reload
    RELOAD = "reload"  # render, nginx -t, reload


@dataclass(frozen=True, kw_only=True)
class Release:
    """A version resolved to what will run.

    ``commit`` is the SHA-256 of an archive, and None for a directory.
    """

    app: str
    version: str
    commit: str | None
    origin: str  # where it came from, safe to show (no credentials)
    warnings: tuple[str, ...] = ()
    signed_by: str | None = None  # whose signature was asked for, and found

    @property
    def label(self) -> str:
        """``v1.2 (0a1b2c3)``: for people."""
        return f"{self.version} ({self.commit[:10]})" if self.commit else self.version


@dataclass(frozen=True, kw_only=True)
class Requester:
    """Who asked for a change, as recorded with the operation."""

    name: str  # "uid 1000 (alice)"
    via: str  # "unix socket"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing done to an app. Times are Unix seconds."""

    id: int
    app: str
    kind: OperationKind
    lane: Lane
    state: OperationState
    version: str | None
    commit: str | None
    slot: Slot | None  # the slot it prepares or switches to
    from_slot: Slot | None  # the slot that was active when it began
    requested_by: Requester
    created_at: float
    finished_at: float | None = None
    error: OperationError | None = None
    acknowledged: tuple[str, ...] = ()  # what whoever asked for a deploy knows that it breaks
    manual: bool = False  # whoever asked for it wants it to wait for a person
    forced: bool = False  # past the versions that the app file lets in, starts from and goes by
    backup: int | None = None  # the one whose data a rollback brings back with the release
    of_switch: bool = False  # a rollback that a switch had to become
    automatic: bool = False  # a trigger asked for it, no person
    attempt: int = 1  # of an automatic release: each daemon that ended in it counts
    repeats: int | None = None  # the first of these attempts
    begun_at: float | None = None  # of one that has waited for its turn, since that came


@dataclass(frozen=True, kw_only=True)
class OperationError:
    """Why an operation did not succeed."""

    kind: str
    message: str
    remedy: str
    detail: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PhaseRecord:
    """One recorded step of one phase of one operation."""

    operation: int
    phase: PhaseName
    state: PhaseState
    at: float
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something an operator may want to see as it happens. ``id`` grows without gaps of order."""

    id: int
    operation: int | None
    app: str
    at: float
    kind: str  # "operation", "phase", "output", "probe", "service", "warning"
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SlotRecord:
    """What the store says a slot holds."""

    app: str
    slot: Slot
    state: SlotState = SlotState.EMPTY
    version: str | None = None
    commit: str | None = None
    tree: Path | None = None
    operation: int | None = None  # the operation that put the release there
    gated_by: int | None = None  # the operation whose gate it passed in its present life
    hot_until: float | None = None  # Unix seconds; None: no limit
    services: Mapping[str, int] = field(default_factory=dict)  # instances of each, as started
    exclusive: tuple[str, ...] | None = None  # of these, in one slot alone; None: not recorded

    @property
    def label(self) -> str:
        if self.version is None:
            return "nothing"
        return f"{self.version} ({self.commit[:10]})" if self.commit else self.version


@dataclass(frozen=True, kw_only=True)
class AppLock:
    """An operator's lock against deploys."""

    app: str
    reason: str
    by: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Automatic releases of an app wait, since a person has moved its traffic."""

    app: str
    operation: int
    kind: OperationKind  # of that operation
    by: str
    at: float


@dataclass(frozen=True, kw_only=True)
class UnitKey:
    """Names one instance of a service in a slot of an app; most services have one."""

    app: str
    slot: Slot
    service: str
    instance: int = 1

    def __str__(self) -> str:
        return f"{self.app}.{self.slot.value}.{self.place}"

    @property
    def place(self) -> str:
        """``api``; from the second instance on, ``api.2``: no service's name has a dot."""
        return self.service if self.instance == 1 else f"{self.service}.{self.instance}"


class UnitState(StrEnum):
    """What a service's process is doing."""

    STOPPED = "stopped"
    RUNNING = "running"
    BACKOFF = "backoff"  # it ended, and is started again after a delay
    STOPPING = "stopping"


@dataclass(frozen=True, kw_only=True)
class ServiceUnit:
    """What a supervisor needs to know to run a service. Times in seconds, sizes in bytes."""

    key: UnitKey
    argv: tuple[str, ...]
    cwd: Path
    env: dict[str, str]
    stop_timeout: float
    log_file: Path
    ready_within: float | None = None  # until it says READY=1 (sd_notify); None: it never says it
    # Of ``env``, what only stands where nothing else is set: units of systemd know the rest of it.
    defaults: dict[str, str] = field(default_factory=dict)
    log_bytes: int = 10 * 1024 * 1024
    log_files: int = 5


@dataclass(frozen=True, kw_only=True)
class UnitStatus:
    """A service as its supervisor sees it. ``since`` is Unix seconds."""

    key: UnitKey
    state: UnitState
    pid: int | None = None
    restarts: int = 0  # since it was started on request
    last_exit: str | None = None  # "exit status 1", "killed by SIGKILL", …
    since: float | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command that runs to its end: a build step, a command probe.

    ``name`` is unique among running jobs and becomes a file name. It runs as ``app``'s user does,
    where apps have users of their own.
    """

    app: str
    name: str
    argv: tuple[str, ...]
    cwd: Path
    env: dict[str, str]
    timeout: float  # seconds; then its whole session is killed
    log_file: Path


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """How a job ended."""

    exit_status: int | None  # None: killed by a signal, or out of time
    ending: str  # "exit status 1", "killed by SIGKILL", "timed out after 600 s"

    @property
    def ok(self) -> bool:
        return self.exit_status == 0


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a service of a slot listens: a loopback TCP port or a unix socket.

    Or nginx, which may listen at another ``host`` alone.
    """

    port: int | None = None
    socket: Path | None = None
    host: str = "127.0.0.1"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port is not None else f"unix:{self.socket}"


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """One attempt of one probe. ``answer`` is what was seen, short enough to print."""

    service: str  # or the instance of it that was asked: "api 2"
    probe: str
    passed: bool
    answer: str
    took: float  # seconds


@dataclass(frozen=True, kw_only=True)
class Hold:
    """New requests wait at nginx. Times are Unix seconds; addresses are of services' instances."""

    since: float
    until: float  # when it ends at the latest
    by: str  # "uid 1000 (alice)"
    operation: int | None = None  # whose it is; None: by hand
    addresses: Mapping[Slot, tuple[tuple[Address, ...], ...]] = field(default_factory=dict)
    # Besides the marker's, those that they may be let through to if the daemon is away at the end.
    ways: tuple[Slot, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Share:
    """So many percent of all clients go to ``slot``, which is not the active one."""

    slot: Slot
    percent: int


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Where an app's traffic goes, as the markers on disk say."""

    active: Slot | None  # None: never deployed
    closed: bool  # nginx answers 503
    # Which change nothing of the rest:
    held: Hold | None = field(default=None, compare=False)
    share: Share | None = field(default=None, compare=False)
