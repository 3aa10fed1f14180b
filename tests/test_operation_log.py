"""The lines of the daemon's log about operations."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from bluegreen.model import Event
from bluegreen.operation_log import logged


def event(kind: str, data: dict[str, Any]) -> Event:
    return Event(id=1, operation=7, app="shop", at=0.0, kind=kind, data=data)


def of_state(state: str, kind: str = "deploy", error: Any = None) -> Event:
    version = "v2" if kind == "deploy" else None
    by = {"requested_by": "alice"}
    return event(
        "operation", {"state": state, "kind": kind, "version": version, "error": error, **by}
    )


ERROR = {"kind": "gate", "message": "api ended", "remedy": "mend it", "detail": []}


@pytest.mark.parametrize(
    ("told", "level", "line"),
    [
        (of_state("running"), "INFO", "shop: deploy v2 has begun (operation 7, by alice)"),
        (of_state("succeeded"), "INFO", "shop: deploy v2 succeeded (operation 7)"),
        (
            of_state("failed", error=ERROR), "WARNING",
            "shop: deploy v2 failed (operation 7): api ended; mend it",
        ),
        (
            of_state("succeeded", "switch"), "INFO",
            "shop: switch succeeded (operation 7, by alice)",
        ),
    ],
)  # fmt: skip
def test_an_operation_is_told_of_with_its_fields(
    told: Event, level: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    published: list[Event] = []
    logged(published.append)(told)

    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (level, line)
    assert (record.__dict__["app"], record.__dict__["operation"]) == ("shop", 7)
    assert published == [told]


@pytest.mark.parametrize(
    "other", [of_state("queued"), of_state("running", "switch"), event("output", {"message": "x"})]
)
def test_the_rest_is_only_published(other: Event, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    published: list[Event] = []
    logged(published.append)(other)
    assert (caplog.records, published) == ([], [other])
