"""What a deploy would do."""

from __future__ import annotations

from typing_extensions import TypedDict

from bluegreen.api.documents.traffic import SwitchBack
from bluegreen.model import PhaseName, Slot


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


class Promotion(TypedDict):
    """``deadline`` is how long it would wait for a person; null: for none.

    Of each of the ``steps``, in percent of the clients, the ``pause`` in seconds.
    """

    deadline: float | None
    steps: list[int]
    pause: float


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
    promotion: Promotion
    hot_seconds: float | None
    command: str
