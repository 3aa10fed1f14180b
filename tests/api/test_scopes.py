"""Scopes: what each allows, and which routes need which."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from bluegreen.api.bus import Bus
from bluegreen.api.context import Api
from bluegreen.api.peer import Caller, note_caller
from bluegreen.api.problems import as_problems
from bluegreen.api.routes import ROUTES, add_routes
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
    note_caller(request, Caller(via="tcp from 192.0.2.1"))
    with pytest.raises(ForbiddenError, match="the scope read, and what was granted is nothing"):
        require(request, Scope.READ)
    grant(request, [Scope.SWITCH, Scope.DEPLOY])
    require(request, Scope.READ)
    with pytest.raises(ForbiddenError, match=r"scope admin, and .* is deploy and switch"):
        require(request, Scope.ADMIN)


async def test_nothing_is_done_or_told_without_the_scope() -> None:
    nothing = cast(Any, None)  # whatever asked anything of it would fail
    api = Api(
        desk=nothing,
        bus=Bus(),
        reload=nothing,
        in_force=nothing,
        hooks=nothing,
        keyring=nothing,
        notifications=nothing,
    )
    granted: set[Scope] = set()

    @web.middleware
    async def as_granted(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        note_caller(request, Caller(via="tcp from 192.0.2.1"))
        grant(request, granted)
        return await handler(request)

    application = web.Application(middlewares=[as_problems, as_granted])
    add_routes(application, api)
    async with TestClient(TestServer(application)) as client:
        for scopes in ([], *([scope] for scope in Scope)):
            granted.clear()
            granted.update(scopes)
            for route in ROUTES:
                if allows(granted, route.scope):
                    continue
                path = route.path.format(app="monitor", id=1, action="run")
                async with client.request(route.method, path, data=b"{") as response:
                    document = await response.json(content_type="application/problem+json")
                assert (response.status, document["kind"]) == (403, "forbidden"), route.path


def test_the_table_of_the_documentation_is_that_of_the_routes() -> None:
    described = {
        cells[0].strip("`"): cells[1] for cells in rows(sections(read("api.md"))["Scopes"])
    }
    assert set(described) == {"scope", *(scope.value for scope in Scope)}
    for scope in (Scope.DEPLOY, Scope.SWITCH):
        needing = {r.path.rsplit("/", 1)[1] for r in ROUTES if r.scope is scope}
        assert needing == set(re.findall(r"`([a-z]+)`", described[scope])), scope
    others = {"/healthz": None, "/v1/tokens": Scope.ADMIN}
    for route in ROUTES:
        if route.method == "GET":
            assert route.scope is others.get(route.path, Scope.READ), route.path
