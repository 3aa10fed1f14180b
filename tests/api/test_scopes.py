"""Scopes: what each allows, and which routes need which."""

from __future__ import annotations

import pytest

from bluegreen.api.routes import ROUTES
from bluegreen.api.scopes import Scope, allows


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        ((), set()),
        ((Scope.READ,), {Scope.READ}),
        ((Scope.DEPLOY,), {Scope.READ, Scope.DEPLOY}),
        ((Scope.SWITCH,), {Scope.READ, Scope.SWITCH}),
        ((Scope.DEPLOY, Scope.SWITCH), {Scope.READ, Scope.DEPLOY, Scope.SWITCH}),
        ((Scope.ADMIN,), set(Scope)),
    ],
    ids=str,
)
def test_scopes_allow_themselves_and_to_look(
    granted: tuple[Scope, ...], allowed: set[Scope]
) -> None:
    assert {one for one in Scope if allows(granted, one)} == allowed
    assert allows(granted, None)


def test_nothing_that_changes_anything_is_open_to_who_may_only_look() -> None:
    for route in ROUTES:
        if route.method != "GET":
            assert not allows([Scope.READ], route.scope), route.path
