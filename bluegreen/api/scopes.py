"""What whoever asks may do: four scopes, of which a route needs one."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from aiohttp import web

from bluegreen.api.peer import caller_of
from bluegreen.errors import ForbiddenError


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


_GRANTED = web.RequestKey("granted", frozenset[Scope])


def grant(request: web.Request, scopes: Iterable[Scope]) -> None:
    """Note what whoever asks may do; nothing is granted before."""
    request[_GRANTED] = frozenset(scopes)


def require(request: web.Request, needed: Scope | None) -> None:
    """Raises ForbiddenError unless what was granted is enough."""
    granted = request.get(_GRANTED, frozenset[Scope]())
    if not allows(granted, needed):
        by_group = caller_of(request).uid is not None  # on the unix socket
        remedy = f"ask with a token that has it: bluegreen token create --scope {needed}"
        if by_group:
            remedy = (
                f'ask as a member of a group that has the role "{needed}" or "admin" in '
                "bluegreen.toml's [api.roles]"
            )
        raise ForbiddenError(
            f"this needs the scope {needed}, and what was granted is "
            + (" and ".join(sorted(granted)) or "nothing"),
            remedy=remedy,
        )
