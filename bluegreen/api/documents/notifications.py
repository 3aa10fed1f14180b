"""Receivers of notifications."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

ReceiverKind = Literal["webhook", "apprise", "github", "gitlab", "gitea"]


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
