"""The OpenAPI document against the table of routes, and the documents against the records."""

from __future__ import annotations

import dataclasses
from typing import Any

import jsonschema_rs
import pytest

from bluegreen.api.documents import operations
from bluegreen.api.documents.apps import LockState
from bluegreen.api.openapi import openapi
from bluegreen.api.route import Route
from bluegreen.api.routes import ROUTES
from bluegreen.model import AppLock, Operation

DOCUMENT = openapi(ROUTES)


def described(route: Route) -> Any:
    return DOCUMENT["paths"][route.path][route.method.lower()]


def test_it_has_exactly_the_routes_of_the_table() -> None:
    found = {
        (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert found == {(route.method, route.path) for route in ROUTES}
    names = [described(route)["operationId"] for route in ROUTES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_is_described_with_all_that_it_takes_and_answers(route: Route) -> None:
    found = described(route)
    assert found["summary"]
    assert found["security"] == ([] if route.scope is None else [{"token": [route.scope]}])
    assert route.answers is not None
    for status in route.statuses:
        assert set(found["responses"][str(status)]["content"]) == {route.media}
    parameters = {(one["in"], one["name"]) for one in found["parameters"]}
    assert {name for place, name in parameters if place == "query"} == {*route.query.model_fields}
    assert {f"{{{name}}}" for place, name in parameters if place == "path"} == {
        part for part in route.path.split("/") if part.startswith("{")
    }
    assert (("header", "Idempotency-Key") in parameters) == (route.body is not None)
    assert ("requestBody" in found) == (route.method == "POST")
    problem = {"$ref": "#/components/responses/Problem"}
    assert (found["responses"]["4XX"], found["responses"]["5XX"]) == (problem, problem)


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for name, schema in schemas.items():
        whole = {**schema, "components": {"schemas": schemas}}
        assert jsonschema_rs.meta.is_valid(whole), name
        jsonschema_rs.Draft202012Validator(whole)  # raises where a reference leads nowhere


@pytest.mark.parametrize(
    ("record", "document"), [(Operation, operations.Operation), (AppLock, LockState)]
)
def test_every_field_of_a_record_is_answered(record: Any, document: Any) -> None:
    assert {one.name for one in dataclasses.fields(record)} == {*document.__annotations__}
