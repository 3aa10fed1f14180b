"""What the API answers: JSON documents, field by field. Times are Unix seconds, others seconds.

The OpenAPI document is made of these, mypy holds the answers against them, and the client gives
them their types. A field may come in a later version; none goes.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from bluegreen.config.webhook_section import Provider
from bluegreen.model import (
    Lane,
    MigrationChange,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseState,
    Slot,
    SlotState,
    UnitState,
)
from bluegreen.operations.way_back import How
from bluegreen.webhooks.nouns import Decision

ReceiverKind = Literal["webhook", "apprise", "github", "gitlab", "gitea"]


class Problem(TypedDict):
    """Why it was not done (RFC 9457)."""

    type: str
    title: str
    status: int
    kind: str
    detail: str
    remedy: str
    exit_status: int
    evidence: NotRequired[list[str]]


class Alive(TypedDict):
    """That the daemon lives."""

    status: Literal["ok"]
    version: str


class Reloaded(TypedDict):
    """Names of apps that have changed, or would; and of files that count from the next start."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    at_next_start: list[str]


class Token(TypedDict):
    """What the API may be asked with over TCP, without its text. ``apps`` null: all."""

    id: int
    name: str
    scopes: list[str]
    apps: list[str] | None
    valid: bool
    created_at: float
    created_by: str
    expires_at: float | None
    last_used_at: float | None
    last_used_from: str | None
    revoked_at: float | None
    revoked_by: str | None


class Tokens(TypedDict):
    """Those that have ended too, the oldest first."""

    tokens: list[Token]


class TokenMade(Token):
    """A new token with its text, which is not kept: null where a key asks for it once more."""

    token: str | None


# -- apps ---------------------------------------------------------------------------------------


class HoldState(TypedDict):
    """Since when requests wait, and until when at the latest. ``operation`` null: by hand."""

    since: float
    until: float
    by: str
    operation: int | None


class LockState(TypedDict):
    """Deploys are refused."""

    app: str
    reason: str
    by: str
    at: float


class ServiceState(TypedDict):
    """One process of a slot."""

    state: UnitState
    pid: int | None
    restarts: int
    last_exit: str | None
    address: str | None


class SlotHealth(TypedDict):
    """What the probes say."""

    healthy: bool
    failing: list[str]


class SlotContent(TypedDict):
    """What a slot holds, and how it is."""

    state: SlotState
    version: str | None
    commit: str | None
    operation: int | None
    hot_until: float | None
    ready: bool
    services: dict[str, ServiceState]
    health: SlotHealth | None


class BothSlots(TypedDict):
    """By name."""

    blue: SlotContent
    green: SlotContent


class RunningOperation(TypedDict):
    """What goes on with an app now."""

    id: int
    kind: OperationKind
    version: str | None
    slot: Slot | None
    phase: PhaseName | None
    undoing: bool
    since: float
    waiting_for: str | None
    requested_by: str


class SwitchBack(TypedDict):
    """What a switch back would do."""

    how: How
    says: str
    migrations: list[str]
    backup: int | None
    since: float | None


class WaitingRelease(TypedDict):
    """A release that a trigger has asked for; ``why`` it waits is in words."""

    id: int
    version: str | None
    since: float
    requested_by: str
    why: str


class PauseState(TypedDict):
    """The operation of a person since which releases of triggers wait."""

    app: str
    operation: int
    kind: OperationKind
    by: str
    at: float


class QueueState(TypedDict):
    """What waits, in the order of the turns."""

    policy: Literal["latest", "serial", "refuse"]
    webhooks: int
    waiting: list[WaitingRelease]
    paused: PauseState | None


class UnsettledOperation(TypedDict):
    """One that could not be finished or undone yet, and is tried again."""

    id: int
    kind: OperationKind
    version: str | None
    why: str
    remedy: str
    tries: int
    next_try: float


class AppState(TypedDict):
    """One app."""

    app: str
    active: Slot | None
    closed: bool
    held: HoldState | None
    slots: BothSlots
    operation: RunningOperation | None
    queue: QueueState
    unsettled: list[UnsettledOperation]
    lock: LockState | None
    switch_back: SwitchBack
    replaces: dict[str, str]
    listen: list[str]
    server_name: list[str]


class Apps(TypedDict):
    """Every app, and what is wrong."""

    apps: list[AppState]
    problems: list[str]
    warnings: list[str]
    failed_authentications: NotRequired[int]  # since the daemon was started; not of some apps only


class Locked(TypedDict):
    app: str
    reason: str
    by: str


class Unlocked(TypedDict):
    app: str


class Resumed(TypedDict):
    app: str


# -- operations ---------------------------------------------------------------------------------


class Failure(TypedDict):
    """Why an operation did not succeed."""

    kind: str
    message: str
    remedy: str
    detail: list[str]


class Operation(TypedDict):
    """One thing done to an app."""

    id: int
    app: str
    kind: OperationKind
    lane: Lane
    state: OperationState
    version: str | None
    commit: str | None
    slot: Slot | None
    from_slot: Slot | None
    requested_by: str
    created_at: float
    finished_at: float | None
    error: Failure | None
    acknowledged: list[str]
    forced: bool
    backup: int | None
    of_switch: bool
    automatic: bool
    attempt: int
    repeats: int | None
    begun_at: float | None


class Phase(TypedDict):
    """One step of an operation; ``seconds`` is null until it is done or failed."""

    phase: PhaseName
    began: float
    state: PhaseState
    seconds: float | None
    data: dict[str, Any]


class OperationInFull(Operation):
    """With its phases, and the names of what has written something."""

    phases: list[Phase]
    output: list[str]


class Operations(TypedDict):
    """The newest first; ``next`` is where the older ones are, or null."""

    operations: list[Operation]
    next: str | None


class Event(TypedDict):
    """Something that happened, as the data of a server-sent event."""

    id: int
    operation: int | None
    app: str
    at: float
    kind: str
    data: dict[str, Any]


class LogLine(TypedDict):
    source: str
    line: str


class Switched(TypedDict):
    """Traffic has moved. ``operation`` is null while the store cannot record it."""

    app: str
    to: Slot
    version: str | None
    operation: Operation | None
    warnings: list[str]
    seconds: float


class Held(TypedDict):
    app: str
    held: HoldState


class Released(TypedDict):
    """For how long requests were held."""

    app: str
    seconds: float
    warnings: list[str]


class PreviewIssued(TypedDict):
    """How to see the idle slot; ``link`` is null where only the administrator knows the site."""

    app: str
    slot: Slot
    version: str | None
    until: float
    header: dict[str, str]
    path: str
    link: str | None


class PreviewsRevoked(TypedDict):
    app: str
    revoked: int


# -- plans --------------------------------------------------------------------------------------


class HeldRelease(TypedDict):
    slot: Slot
    version: str | None
    commit: str | None


class Commit(TypedDict):
    id: str
    at: float
    subject: str


class Commits(TypedDict):
    count: int
    newest: list[Commit]


class Comparison(TypedDict):
    """What the commits bring and take back; ``unknown`` is why nobody can tell."""

    added: Commits
    dropped: Commits
    unknown: str | None


class Rule(TypedDict):
    span: str
    breaking: str | None
    via: str | None
    certain: bool


class Finding(TypedDict):
    kind: str
    message: str
    detail: list[str]
    remedy: str


class PhaseTime(TypedDict):
    phase: PhaseName
    seconds: float


class PendingMigrations(TypedDict):
    names: list[str] | None
    says: str


class Plan(TypedDict):
    """What a deploy would do now."""

    app: str
    version: str
    commit: str | None
    slot: Slot
    serving: HeldRelease | None
    replaced: HeldRelease | None
    commits: Comparison | None
    rules: list[Rule]
    acknowledge: list[str]
    variables: list[str]
    warnings: list[str]
    findings: list[Finding]
    phases: list[PhaseTime]
    seconds: float | None
    deploys: int
    migrations: PendingMigrations | None
    switch_back: SwitchBack
    hot_seconds: float | None
    command: str


# -- data ---------------------------------------------------------------------------------------


class FilesThen(TypedDict):
    files: int
    bytes: int


class FilesNow(FilesThen):
    changed_at: float | None
    then: FilesThen


class Backup(TypedDict):
    """Of one whose manifest cannot be used only the first three."""

    id: int
    good: bool
    problem: str | None
    created_at: NotRequired[float]
    reason: NotRequired[str]
    version: NotRequired[str | None]
    bytes: NotRequired[int]
    sqlite: NotRequired[dict[str, dict[str, int]]]
    files: NotRequired[dict[str, FilesThen]]
    postgres: NotRequired[dict[str, dict[str, int]]]
    command: NotRequired[bool]
    damaged: NotRequired[list[str]]


class Backups(TypedDict):
    """The newest first."""

    app: str
    backups: list[Backup]


class Verified(TypedDict):
    app: str
    id: int
    verified: bool
    damaged: list[str]


class Database(TypedDict):
    """Rows by table, now and then. ``changed_at`` is not known of PostgreSQL."""

    rows: dict[str, int]
    then: dict[str, int]
    problem: str | None
    changed_at: NotRequired[float | None]


class Loss(TypedDict):
    """What a restore would replace."""

    app: str
    backup: int
    created_at: float
    version: str | None
    sqlite: dict[str, Database]
    files: dict[str, FilesNow]
    postgres: dict[str, Database]
    command: bool


class AppliedMigration(TypedDict):
    name: str
    change: MigrationChange
    operation: int
    version: str
    at: float


class Applied(TypedDict):
    """The oldest first."""

    app: str
    applied: list[AppliedMigration]


# -- notifications ------------------------------------------------------------------------------


class Receiver(TypedDict):
    """Who is told, and how far. ``waiting`` is counted up to 1,000; ``apps`` empty: all."""

    receiver: str
    kind: ReceiverKind
    apps: list[str]
    waiting: int
    since: float
    delivered: int
    dropped: int
    last_success_at: float | None
    last_error: str | None
    last_error_at: float | None
    failing_since: float | None
    retry_at: float | None
    gone_at: float | None


class Receivers(TypedDict):
    """In the order of the files."""

    receivers: list[Receiver]


class ReceiverTest(TypedDict):
    """What a receiver has made of a test."""

    receiver: str
    kind: ReceiverKind
    outcome: Literal["accepted", "refused", "failed", "gone"]
    said: str


class ReceiverTests(TypedDict):
    """One for each receiver that was sent one."""

    tests: list[ReceiverTest]


# -- webhooks -----------------------------------------------------------------------------------


class BriefOperation(TypedDict):
    id: int
    app: str
    state: OperationState


class DeliveryTaken(TypedDict):
    """What the sender of a delivery is told."""

    delivery: int
    event: str
    version: str | None
    decision: Decision
    repeated: bool
    operation: BriefOperation | None
    pong: NotRequired[bool]
    ignored: NotRequired[str | None]


class Webhook(TypedDict):
    """One rule of the app file; of its secrets the files, and what is wrong with them."""

    provider: Provider
    secret: list[str]
    on: list[str]
    version: str
    branches: list[str]
    tags: list[str]
    workflows: list[str]
    environments: list[str]
    prereleases: bool
    problems: list[str]


class Webhooks(TypedDict):
    """``refused`` counts deliveries since the daemon was started."""

    app: str
    path: str
    refused: int
    webhooks: list[Webhook]


class Delivery(TypedDict):
    """What was delivered, and what was made of it."""

    id: int
    app: str
    provider: Provider
    delivery: str
    event: str
    version: str | None
    decision: Decision
    why: str | None
    operation: int | None
    via: str
    received_at: float
    replay_of: int | None
    replayed_by: str | None
    is_whole: bool


class Deliveries(TypedDict):
    """The newest first."""

    app: str
    deliveries: list[Delivery]


class DeliveryTried(TypedDict):
    provider: Provider
    event: str
    asked: str | None
    version: str | None
    decision: Decision | Literal["refused"]
    why: str | None


class DeliveriesTried(TypedDict):
    app: str
    tests: list[DeliveryTried]


class Replayed(TypedDict):
    delivery: Delivery
    operation: Operation | None
