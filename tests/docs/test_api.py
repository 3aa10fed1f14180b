"""docs/api.md against the routes, the bodies and the errors of the API."""

from __future__ import annotations

import json
import re

import pytest

from bluegreen import errors
from bluegreen.api import bodies, routes
from bluegreen.model import OperationKind, OperationState, SlotState, UnitState
from tests.docs.pages import DOCS, Block, blocks, read, rows, sections

ROUTES = {f"{route.method} {route.path}" for route in routes.ROUTES}


def test_exactly_the_routes_that_exist_are_described() -> None:
    page = read("api.md")
    described = re.findall(r"^\| `((?:GET|POST|DELETE) [^`]+)` \|", page, re.MULTILINE)
    assert sorted(described) == sorted(ROUTES)


def test_routes_that_the_text_mentions_exist() -> None:
    assert set(re.findall(r"`((?:GET|POST|DELETE) /[^`]+)`", read("api.md"))) <= ROUTES


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("deployments", bodies.DeployBody),
        ("rollback", bodies.RollbackBody),
        ("switch", bodies.SwitchBody),
        ("hold", bodies.HoldBody),
        ("lock", bodies.LockBody),
        ("preview", bodies.PreviewBody),
    ],
)
def test_every_field_of_a_body_is_described(action: str, body: type[bodies.Body]) -> None:
    route = f"`POST /v1/apps/{{app}}/{action}`"
    (row,) = [line for line in read("api.md").splitlines() if line.startswith(f"| {route}")]
    for field in body.model_fields:
        assert f'"{field}"' in row


@pytest.mark.parametrize("states", [OperationKind, OperationState, SlotState, UnitState])
def test_every_value_of_a_field_is_described(states: type[OperationKind]) -> None:
    page = read("api.md")
    for state in states:
        assert f"`{state.value}`" in page, state


def test_every_status_of_a_refusal_is_described() -> None:
    refusals = [
        error
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.BluegreenError)
    ]
    # No daemon: no answer. The others end an operation and are in its record.
    elsewhere = {
        "no-daemon", "error", "source", "build", "gate", "migration", "illegal-transition",
    }  # fmt: skip
    described = {cells[0]: cells[1] for cells in rows(sections(read("api.md"))["Errors"])}
    for error in refusals:
        if error.kind not in elsewhere:
            assert f"`{error.kind}`" in described[str(error.http_status)], error.kind


@pytest.mark.parametrize(
    "block", [b for b in blocks("json") if b.page.parent == DOCS and "…" not in b.text], ids=str
)
def test_every_whole_json_document_parses(block: Block) -> None:
    json.loads(block.text)
