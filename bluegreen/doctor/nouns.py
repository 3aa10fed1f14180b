"""What is found where something is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

from bluegreen.errors import BluegreenError


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is not as it should be, and what to do about it."""

    what: str
    remedy: str
    detail: tuple[str, ...] = ()


@dataclass
class Look:
    """At one thing: what was ``seen``, in words; what is wrong; what only root may look at."""

    topic: str
    seen: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    def find(self, what: str, remedy: str, *detail: str) -> None:
        self.findings.append(Finding(what=what, remedy=remedy, detail=detail))

    def find_error(self, error: BluegreenError) -> None:
        self.find(error.message, error.remedy, *error.detail)
