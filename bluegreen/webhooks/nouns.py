"""What a delivery says, and what is made of it: frozen records without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Decision(StrEnum):
    """What became of a delivery that was signed right."""

    ACCEPTED = "accepted"  # durable, and not handed on yet
    TRIGGERED = "triggered"  # there is an operation
    DECLINED = "declined"  # handed on, and nothing was begun
    IGNORED = "ignored"  # the app file asks for nothing of the kind
    UNREADABLE = "unreadable"  # it is not what its event has


@dataclass(frozen=True, kw_only=True)
class Happening:
    """What happened at the sender, in words that rules are written in."""

    event: str
    branch: str | None = None
    tag: str | None = None  # also where it may be a branch: then rules say what tags look like
    commit: str | None = None
    workflow: str | None = None
    environment: str | None = None
    is_prerelease: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)  # of a standard webhook


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """It asks for no release, whatever the rules are: ``why``, without a full stop."""

    event: str
    why: str
    is_unreadable: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a delivery that was signed right asks for."""

    provider: str
    delivery: str  # its sender's name for it
    is_named_by_signature: bool  # whether that name is signed, too
    event: str
    decision: Decision
    version: str | None = None
    why: str | None = None
