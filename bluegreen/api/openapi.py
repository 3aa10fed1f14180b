"""The OpenAPI document, made of the table of routes."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from bluegreen import __version__
from bluegreen.api.documents.problem import Problem
from bluegreen.api.limits import KEY_LENGTH
from bluegreen.api.route import EVENT_STREAM, JSON, JSON_LINES, Route
from bluegreen.operations.by_hand import Action

Document = dict[str, Any]

_MEANING = {200: "Done", 202: "Begun: the operation goes on"}

PROBLEM = "application/problem+json"
_TEMPLATE = "#/components/schemas/{model}"
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
_APP = {
    "name": "app", "in": "path", "required": True,
    "description": "its name; - is the only one there is",
    "schema": {"type": "string", "minLength": 1},
}  # fmt: skip
_KEY = {
    "name": "Idempotency-Key", "in": "header",
    "description": "names the request: sent again with it, nothing is done twice",
    "schema": {"type": "string", "pattern": f"^[ -~]{{1,{KEY_LENGTH}}}$"},
}  # fmt: skip
_LAST_EVENT = {
    "name": "Last-Event-ID", "in": "header",
    "description": "the id of an event of this operation: go on after it",
    "schema": _NUMBER,
}  # fmt: skip
_TAG = {
    "name": "If-None-Match", "in": "header",
    "description": "the ETag of an earlier answer: 304 while nothing has changed",
    "schema": {"type": "string"},
}  # fmt: skip


def openapi(routes: Sequence[Route]) -> Document:
    """OpenAPI 3.1 of ``routes``. Takes a tenth of a second: not for the event loop."""
    schemas = _Schemas(routes)
    paths: Document = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bluegreen",
            "version": __version__,
            "description": "Blue-green deployments on one host. docs/api.md says what it means.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {
                "Problem": {
                    "description": "Nothing was done, and why",
                    "content": {PROBLEM: {"schema": schemas.of(Problem)}},
                }
            },
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer",
                    "description": "Over TCP. Over the unix socket the kernel says who asks.",
                }
            },
        },
    }  # fmt: skip


class _Schemas:
    """The schemas of all that is taken and answered, each named once."""

    def __init__(self, routes: Iterable[Route]) -> None:
        named: dict[Any, JsonSchemaMode] = {Problem: "serialization"}
        named |= {one.answers: "serialization" for one in routes if one.answers is not None}
        named |= {one.body: "validation" for one in routes if one.body is not None}
        by_kind, definitions = TypeAdapter.json_schemas(
            [(kind, mode, TypeAdapter(kind)) for kind, mode in named.items()],
            ref_template=_TEMPLATE,
        )
        self.components: Document = definitions.get("$defs", {})
        self._by_kind = {kind: schema for (kind, _), schema in by_kind.items()}

    def of(self, kind: Any) -> Document:
        schema: Document = self._by_kind[kind]
        return schema


def _operation(route: Route, schemas: _Schemas) -> Document:
    found: Document = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": _responses(route, schemas),
        "security": [] if route.scope is None else [{"token": [route.scope]}],
    }
    if route.body is not None:
        required = any(field.is_required() for field in route.body.model_fields.values())
        content = {JSON: {"schema": schemas.of(route.body)}}
        found["requestBody"] = {"required": required, "content": content}
    elif route.method == "POST":  # whatever the sender says
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": {}}}}
    return found


def _parameters(route: Route) -> list[Document]:
    found = [_in_path(route, name) for name in re.findall(r"{(\w+)}", route.path)]
    schema = route.query.model_json_schema()
    for name, field in schema.get("properties", {}).items():
        described = {key: value for key, value in field.items() if key != "title"}
        found.append(
            {
                "name": name, "in": "query", "required": name in schema.get("required", ()),
                "description": described.pop("description", ""), "schema": _given(described),
            }
        )  # fmt: skip
    if route.body is not None:
        found.append(_KEY)
    if route.tagged:
        found.append(_TAG)
    if route.media == EVENT_STREAM:
        found.append(_LAST_EVENT)
    return found


def _given(schema: Document) -> Document:
    """Of a parameter that may be left out: it is left out, never null."""
    options = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    return options[0] if options else schema


def _in_path(route: Route, name: str) -> Document:
    if name == "app":
        return _APP
    schema = {"enum": [*Action]} if name == "action" else _NUMBER
    if "/deliveries/" in route.path:
        schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _responses(route: Route, schemas: _Schemas) -> Document:
    content = {route.media: _content(route, schemas)} if route.answers is not None else {}
    problem = {"$ref": "#/components/responses/Problem"}
    found: Document = {
        str(status): {"description": _MEANING[status], "content": content}
        for status in route.statuses
    }
    if route.tagged:
        found["200"]["headers"] = {"ETag": {"schema": {"type": "string"}}}
        found["304"] = {"description": "Nothing has changed since the ETag that was sent"}
    return found | {"4XX": problem, "5XX": problem}


def _content(route: Route, schemas: _Schemas) -> Document:
    """Of a stream, how each of its documents is."""
    each = schemas.of(route.answers)
    if route.media == EVENT_STREAM:
        text = {"type": "string"}
        data = text | {"contentMediaType": JSON, "contentSchema": each}
        fields = {"id": text, "event": text, "data": data}
        return {"schema": {"type": "object", "properties": fields, "required": ["event", "data"]}}
    if route.media == JSON_LINES:
        return {"schema": {"type": "string"}, "x-each": each}
    return {"schema": each}


@functools.cache
def as_text(routes: tuple[Route, ...]) -> str:
    """The same as JSON, made once."""
    return json.dumps(openapi(routes))
