"""Commits marked at servers that speak as GitHub, GitLab and Gitea do."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from bluegreen.model import OperationState
from tests.notifications.listening import Host, Listener
from tests.waiting import eventually

COMMIT = "0a1b2c3d" * 5
TOKEN = "ghp_T0PSECRETTOKEN"


@dataclass
class GitHub:
    """What its documentation says of deployments and statuses, of one repository."""

    deployments: list[dict[str, Any]] = field(default_factory=list)
    marks: list[tuple[int, str]] = field(default_factory=list)  # deployment, state
    commits: list[tuple[str, str, str]] = field(default_factory=list)  # commit, context, state
    limited: list[web.Response] = field(default_factory=list)  # given first, in turn

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        if self.limited:
            return self.limited.pop(0)
        path = request.path.removeprefix("/repos/o/shop").strip("/").split("/")
        body: Any = await request.json() if request.method == "POST" else None
        if path == ["deployments"] and body is None:
            found = [one for one in self.deployments if one["sha"] == request.query["sha"]]
            return web.json_response(found)
        if path == ["deployments"]:
            made = {"id": len(self.deployments) + 1, "sha": body["ref"]} | body
            self.deployments.append(made)
            return web.json_response(made, status=201)
        if path[0] == "deployments":
            self.marks.append((int(path[1]), body["state"]))
        elif path[0] == "statuses":
            self.commits.append((path[1], body["context"], body["state"]))
        return web.json_response({}, status=201)


def status(host: Host, listener: Listener, provider: str = "github", **more: Any) -> dict[str, Any]:
    return {
        "status": [
            {
                "provider": provider, "repository": "o/shop", "api": listener.url,
                "token": host.secret(TOKEN, "token"), "allow_private": True,
            }
            | more
        ]
    }  # fmt: skip


@pytest.fixture
def github(listener: Listener) -> GitHub:
    forge = GitHub()
    listener.usual = forge.answer
    return forge


async def test_a_deploy_is_a_deployment_and_marks_its_commit(
    host: Host, listener: Listener, github: GitHub
) -> None:
    await host.tell(app=status(host, listener))
    operation = await host.begin()
    await host.store.add_event(app="shop", operation=operation.id, kind="output", data={})
    assert github.commits == []  # nobody knows yet which it is
    await host.resolve(operation, COMMIT)
    await host.store.add_event(app="shop", operation=operation.id, kind="output", data={})
    await eventually(lambda: github.commits, "the commit is marked as it begins")
    assert github.commits == [(COMMIT, "bluegreen/shop", "pending")]
    assert github.marks == [(1, "in_progress")]
    await host.end(operation, OperationState.SUCCEEDED)
    await eventually(lambda: len(github.commits) == 2, "and at its end")
    assert github.commits[1] == (COMMIT, "bluegreen/shop", "success")
    assert github.marks == [(1, "in_progress"), (1, "success")]  # one deployment, found again
    [deployment] = github.deployments
    assert (deployment["environment"], deployment["required_contexts"]) == ("production", [])


@pytest.mark.parametrize(
    ("state", "deployment", "commit"),
    [
        (OperationState.FAILED, "failure", "failure"),
        (OperationState.ROLLED_BACK, "failure", "failure"),
        (OperationState.CANCELLED, "inactive", "error"),
        (OperationState.INTERRUPTED, "error", "error"),
    ],
)
async def test_how_it_ended_is_marked(
    host: Host, listener: Listener, github: GitHub,
    state: OperationState, deployment: str, commit: str,
) -> None:  # fmt: skip
    await host.tell(app=status(host, listener))
    await host.happen(OperationState.FAILED, "v1")  # before it was fetched: of no commit
    await host.happen(state, commit=COMMIT)
    await eventually(lambda: len(github.commits) == 2, "it is marked")
    assert (github.marks[-1][1], github.commits[-1][2]) == (deployment, commit)


async def test_limits_are_kept_and_no_deployment_is_made_twice(
    host: Host, listener: Listener, github: GitHub
) -> None:
    soon = str(int(time.time()) + 1)
    github.limited = [
        web.Response(status=403, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": soon}),
        web.Response(status=429, headers={"Retry-After": "1"}),
        web.Response(status=502, text=f"nothing is known of {TOKEN}"),
    ]
    await host.tell(app=status(host, listener))
    await host.happen(OperationState.SUCCEEDED, commit=COMMIT)
    await eventually(lambda: len(github.commits) == 2, "it is marked in the end")
    assert len(github.deployments) == 1
    await eventually(lambda: _delivered(host), "both are recorded as told")
    assert (await host.overview())["last_error"] == "it answers 502: nothing is known of ***"


async def _delivered(host: Host) -> bool:
    view = await host.overview()
    return (view["delivered"], view["dropped"]) == (2, 0)


async def test_only_the_commit_is_marked_where_no_deployment_is_wanted(
    host: Host, listener: Listener, github: GitHub
) -> None:
    await host.tell(app=status(host, listener, deployments=False, context="ci/host"))
    await host.happen(OperationState.SUCCEEDED, commit=COMMIT)
    await eventually(lambda: len(github.commits) == 2, "it is marked")
    assert {context for _, context, _ in github.commits} == {"ci/host"}
    assert github.deployments == []


async def test_gitlab_and_a_state_that_a_commit_has_already(host: Host, listener: Listener) -> None:
    async def has_it(_: web.Request) -> web.Response:
        why = {"message": "Cannot transition status via :run from :running (Reason: ...)"}
        return web.json_response(why, status=400)

    listener.answers = [has_it]
    await host.tell(app=status(host, listener, "gitlab", repository="group/sub/shop"))
    await host.happen(OperationState.FAILED, commit=COMMIT)
    await eventually(lambda: len(listener.asked) == 2, "both were sent")
    path = f"/projects/group%2Fsub%2Fshop/statuses/{COMMIT}"
    assert [asked.path for asked in listener.asked] == [path, path]
    assert listener.asked[0].headers["PRIVATE-TOKEN"] == TOKEN
    said = [(asked.document["state"], asked.document["name"]) for asked in listener.asked]
    assert said == [("running", "bluegreen/shop"), ("failed", "bluegreen/shop")]
    assert listener.asked[1].document["description"] == "v2 was not deployed: it broke"


async def test_gitea(host: Host, listener: Listener) -> None:
    await host.tell(app=status(host, listener, "gitea"))
    await host.happen(OperationState.SUCCEEDED, commit=COMMIT)
    await eventually(lambda: len(listener.asked) == 2, "both were sent")
    assert [asked.path for asked in listener.asked] == [f"/repos/o/shop/statuses/{COMMIT}"] * 2
    assert listener.asked[0].headers["Authorization"] == f"token {TOKEN}"
    assert json.loads(listener.asked[1].body)["state"] == "success"


async def test_a_test_asks_and_marks_nothing(
    host: Host, listener: Listener, github: GitHub
) -> None:
    await host.tell(app=status(host, listener))
    [answer] = await host.notifications.test(None)
    assert (answer["receiver"], answer["outcome"]) == ("shop/github/o/shop", "accepted")
    assert [(asked.method, asked.path) for asked in listener.asked] == [("GET", "/repos/o/shop")]
    listener.usual = 404
    [answer] = await host.notifications.test("shop/github/o/shop")
    assert (answer["outcome"], answer["said"]) == ("failed", "it answers 404")
