"""What an app's user writes is read as what it may be, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bluegreen.data import shapes
from bluegreen.data.manifest import Manifest, Member, manifest_of

MANIFEST = Manifest(
    id=3, app="shop", created_at=1.5, reason="asked for", version=None,
    sqlite={"app.db": {"one": 1}}, files={"uploads": {"files": 1, "bytes": 2}},
    members={"sqlite/app.db": Member(sha256="0" * 64, bytes=9)},
)  # fmt: skip


def test_a_manifest_comes_back_as_it_was() -> None:
    assert manifest_of(shapes.parse(json.dumps(MANIFEST.to_json()).encode())) == MANIFEST


@pytest.mark.parametrize(
    "change",
    [
        {"id": -1}, {"id": True}, {"id": 2**63}, {"id": "3"}, {"created_at": float("nan")},
        {"created_at": None}, {"version": 2}, {"sqlite": []}, {"sqlite": {"a": {"b": "c"}}},
        {"files": {"a": {}}}, {"postgres": "url"}, {"postgres_rows": {"url": [1]}}, {"command": 1},
        {"members": {"a": []}}, {"members": {"a": {"sha256": 1, "bytes": 1}}}, {"format": 2},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_of_another_shape_is_none(change: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        manifest_of(MANIFEST.to_json() | change)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[" * 100_000, b"1" * 5000, b'"' + b"x" * shapes.LONGEST + b'"', b"\xff"],
    ids=["nothing", "half", "deep", "huge", "long", "no-text"],
)
def test_what_cannot_be_read_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        shapes.parse(data)


def test_texts_are_fit_to_print() -> None:
    assert shapes.parse(b'{"a\\u001b[31m": ["\\u001b]0;title\\u0007x\\u0000"]}') == {"a": ["x"]}


@pytest.mark.parametrize(
    ("check", "value"),
    [(shapes.text, 1), (shapes.flag, 0), (shapes.count, 1.0), (shapes.instant, "1")],
)
def test_what_is_something_else_is_refused(check: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(TypeError):
        check(value)
