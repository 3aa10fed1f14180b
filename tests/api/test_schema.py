"""Schemathesis over the whole API of a real daemon, by tokens over TCP.

Its document holds, no answer is a 5xx, and nothing is done without the scope.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from bluegreen.api.openapi import openapi
from bluegreen.api.queries import NoQuery
from bluegreen.api.routes import ROUTES
from bluegreen.api.scopes import Scope, allows
from tests.api.door import Door, open_door

EXAMPLES = 10  # of each operation
TRESPASSES = 2
OWN_TOKEN = "DELETE /v1/tokens/{id}"  # which would end what all others are asked with
LIMIT = 20.0  # seconds for one answer
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# What an app is in is no violation of the schema, and neither is an operation that fails later.
OF_ANSWERS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
CHECKED = [*OF_ANSWERS, checks.negative_data_rejection]


# The others take no more than a name, which may be anything.
MAY_BE_WRONG = {
    f"{route.method} {route.path}"
    for route in ROUTES
    if route.body is not None or route.query is not NoQuery or "{id}" in route.path
}


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door() as opened:
        yield opened


def closed(document: Any) -> Any:
    """The document with no room for fields that it does not name."""
    if isinstance(document, dict):
        found = {name: closed(value) for name, value in document.items()}
        if "properties" in found:
            found.setdefault("additionalProperties", False)
        return found
    return [closed(one) for one in document] if isinstance(document, list) else document


@functools.cache
def operations() -> list[Any]:
    """Those of the document that the daemon serves."""
    document = closed(json.loads(json.dumps(openapi(ROUTES))))
    del document["components"]["securitySchemes"]  # each request has its token
    found = []
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(result, Ok), result
        found.append(result.ok())
    return found


def drawn(data: st.DataObject, operation: Any, mode: GenerationMode) -> Any:
    """A request, mostly about what there is."""
    case = data.draw(operation.as_strategy(generation_mode=mode))
    if mode is GenerationMode.POSITIVE:
        if "app" in (case.path_parameters or {}) and data.draw(st.integers(0, 4)):
            case.path_parameters["app"] = "monitor"
        if "id" in (case.path_parameters or {}) and data.draw(st.booleans()):
            case.path_parameters["id"] = data.draw(st.integers(1, 5))
    if (case.query or {}).get("follow") == "1":
        case.query["follow"] = "0"  # the output of services has no end
    return case


def attack(operation: Any, mode: GenerationMode, asked: dict[str, Any], done: set[str]) -> None:
    """Requests of one kind to one operation."""

    @SETTINGS
    @given(data=st.data())
    def requests(data: st.DataObject) -> None:
        answer = drawn(data, operation, mode).call_and_validate(**asked, checks=CHECKED)
        if answer.status_code < 300:
            done.add(operation.label)

    requests()


def attack_all(asked: dict[str, Any]) -> tuple[list[str], set[str]]:
    """What each operation has done wrong, and which of them have done what they were asked."""
    wrong: list[str] = []
    done: set[str] = set()
    for operation in operations():
        if operation.label == OWN_TOKEN:
            continue
        modes = (
            list(GenerationMode) if operation.label in MAY_BE_WRONG else [GenerationMode.POSITIVE]
        )
        for mode in modes:
            try:
                attack(operation, mode, asked, done)
            except (Exception, FailureGroup) as error:
                wrong.append(f"{operation.label} ({mode.value}): {error}")
    return wrong, done


def trespass(asked: dict[str, Any], scope: Scope) -> list[str]:
    """Ask for all that the scope is not enough for; what was not refused."""
    needed = {f"{route.method} {route.path}": route.scope for route in ROUTES}
    wrong: list[str] = []

    def ask(operation: Any) -> None:
        @hypothesis.settings(SETTINGS, max_examples=TRESPASSES)
        @given(data=st.data())
        def requests(data: st.DataObject) -> None:
            case = drawn(data, operation, GenerationMode.POSITIVE)
            answer = case.call_and_validate(**asked, checks=OF_ANSWERS)
            if answer.status_code != 403:
                wrong.append(f"{operation.label}: {answer.status_code}")

        requests()

    for operation in operations():
        if not allows([scope], needed[operation.label]):
            ask(operation)
    return wrong


async def test_every_answer_is_as_the_document_says(door: Door) -> None:
    async def asked(scope: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {await door.token(scope)}"}
        return {"base_url": f"http://127.0.0.1:{door.port}", "headers": headers, "timeout": LIMIT}

    async def state() -> list[Any]:
        paths = ("/v1/apps", "/v1/operations", "/v1/tokens", "/v1/apps/monitor/deliveries")
        found = [await door.ask("GET", path, await door.token("admin")) for path in paths]
        for token in found[2][1]["tokens"]:
            token["last_used_at"] = token["last_used_from"] = None
        return found

    tokens = {scope: await asked(scope) for scope in Scope}
    before = await state()
    for scope in (Scope.READ, Scope.SWITCH, Scope.DEPLOY):
        assert not await asyncio.to_thread(trespass, tokens[scope], scope)
    assert await state() == before

    wrong, done = await asyncio.to_thread(attack_all, tokens[Scope.ADMIN])
    assert not wrong, "\n\n".join(wrong)
    looks = {f"GET {route.path}" for route in ROUTES if route.method == "GET"}
    assert done >= looks - {"GET /v1/apps/{app}/backups/{id}/loss"}  # there are no backups
    log = door.stack.daemon_log.read_text()
    assert "Traceback" not in log, log
    assert (await door.stack.cli("status")).status == 0
