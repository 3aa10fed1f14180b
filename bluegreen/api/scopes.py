"""What whoever asks may do: four scopes, of which a route needs one."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    """What a route needs, and what whoever asks was granted."""

    READ = "read"  # look at everything, change nothing
    DEPLOY = "deploy"  # bring releases into service, through their gates; and look
    SWITCH = "switch"  # move traffic to the other slot; and look
    ADMIN = "admin"  # everything


_IMPLIED = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.DEPLOY: frozenset({Scope.DEPLOY, Scope.READ}),
    Scope.SWITCH: frozenset({Scope.SWITCH, Scope.READ}),
    Scope.ADMIN: frozenset(Scope),
}


def allows(granted: Iterable[Scope], needed: Scope | None) -> bool:
    """Whether one of the scopes ``granted`` is enough; None is open to all."""
    return needed is None or any(needed in _IMPLIED[one] for one in granted)
