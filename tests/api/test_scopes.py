"""Scopes: what each allows, and which routes need which."""

from __future__ import annotations

import re

import pytest
from aiohttp.test_utils import make_mocked_request

from bluegreen.api.routes import ROUTES
from bluegreen.api.scopes import Scope, allows, grant, require
from bluegreen.errors import ForbiddenError
from tests.docs.pages import read, rows, sections


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
    harmless = {"/hooks/{app}", "/v1/apps/{app}/webhooks/test"}  # signed by itself; a rehearsal
    for route in ROUTES:
        if route.method != "GET" and route.path not in harmless:
            assert not allows([Scope.READ], route.scope), route.path


async def test_what_was_not_granted_is_refused_and_says_what_it_needs() -> None:
    request = make_mocked_request("GET", "/")
    with pytest.raises(ForbiddenError, match="the scope read, and what was granted is nothing"):
        require(request, Scope.READ)
    grant(request, [Scope.SWITCH, Scope.DEPLOY])
    require(request, Scope.READ)
    with pytest.raises(ForbiddenError, match=r"scope admin, and .* is deploy and switch"):
        require(request, Scope.ADMIN)


def test_the_table_of_the_documentation_is_that_of_the_routes() -> None:
    described = {
        cells[0].strip("`"): cells[1] for cells in rows(sections(read("api.md"))["Scopes"])
    }
    assert set(described) == {"scope", *(scope.value for scope in Scope)}
    for scope in (Scope.DEPLOY, Scope.SWITCH):
        needing = {r.path.rsplit("/", 1)[1] for r in ROUTES if r.scope is scope}
        assert needing == set(re.findall(r"`([a-z]+)`", described[scope])), scope
    assert all(r.scope is Scope.READ for r in ROUTES if r.method == "GET" and r.path != "/healthz")
