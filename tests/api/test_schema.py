"""Schemathesis over the whole API of a real daemon: its document holds, and no answer is a 5xx."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from bluegreen.api.openapi import openapi
from bluegreen.api.routes import ROUTES
from tests.stack import Stack

EXAMPLES = 12  # of each operation
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
CHECKED = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@contextlib.asynccontextmanager
async def over_tcp(path: Path) -> AsyncIterator[str]:
    """The address of what passes every byte on to a unix socket, and back."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(str(path))
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def closed(document: Any) -> Any:
    """The document with no room for fields that it does not name."""
    if isinstance(document, dict):
        found = {name: closed(value) for name, value in document.items()}
        if "properties" in found:
            found.setdefault("additionalProperties", False)
        return found
    return [closed(one) for one in document] if isinstance(document, list) else document


def attack(operation: Any, mode: GenerationMode, address: str, done: set[str]) -> None:
    """Requests of one kind to one operation, mostly about what there is."""

    @SETTINGS
    @given(data=st.data())
    def requests(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if mode is GenerationMode.POSITIVE:
            if "app" in (case.path_parameters or {}) and data.draw(st.integers(0, 4)):
                case.path_parameters["app"] = "monitor"
            if "id" in (case.path_parameters or {}) and data.draw(st.booleans()):
                case.path_parameters["id"] = data.draw(st.integers(1, 5))
        if (case.query or {}).get("follow") == "1":
            case.query["follow"] = "0"  # the output of services has no end
        answer = case.call_and_validate(base_url=address, checks=CHECKED, timeout=LIMIT)
        if answer.status_code < 300:
            done.add(operation.label)

    requests()


def attack_all(address: str) -> tuple[list[str], set[str]]:
    """What each operation has done wrong, and which of them have done what they were asked."""
    document = closed(json.loads(json.dumps(openapi(ROUTES))))
    del document["components"]["securitySchemes"]  # whoever may use the socket needs no token
    schema = schemathesis.openapi.from_dict(document)
    wrong: list[str] = []
    done: set[str] = set()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        for mode in GenerationMode:
            try:
                attack(operation, mode, address, done)
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE  # nothing that it takes can be wrong
            except (Exception, FailureGroup) as error:
                wrong.append(f"{operation.label} ({mode.value}): {error}")
    return wrong, done


async def test_every_answer_is_as_the_document_says(deployed: Stack) -> None:
    await deployed.deploy("v2")
    async with over_tcp(deployed.layout.control_socket) as address:
        wrong, done = await asyncio.to_thread(attack_all, address)
    assert not wrong, "\n\n".join(wrong)
    looks = {f"GET {route.path}" for route in ROUTES if route.method == "GET"}
    assert done >= looks - {"GET /v1/apps/{app}/backups/{id}/loss"}  # there are no backups
    log = deployed.daemon_log.read_text()
    assert "Traceback" not in log, log
    assert (await deployed.cli("status")).status == 0
