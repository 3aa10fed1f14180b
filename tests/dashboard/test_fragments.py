"""Parts of pages, rendered by themselves."""

from __future__ import annotations

from typing import Any

from bluegreen.dashboard.pages import Pages

BEGUN: dict[str, Any] = {
    "id": 3, "app": "shop", "kind": "deploy", "version": "v2", "state": "running", "slot": None,
    "commit": None, "created_at": 1_800_000_000.0, "finished_at": None, "requested_by": "webhook",
    "error": None,
}  # fmt: skip


def test_an_operation_that_has_no_phase_yet_is_told_of() -> None:
    shown = Pages().fragment("parts/outcome.html", operation=BEGUN, phases=[], app=None)
    assert 'data-say="deploy v2: running"' in shown.html
