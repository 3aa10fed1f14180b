"""Parts of pages, rendered by themselves."""

from __future__ import annotations

from typing import Any

from bluegreen.dashboard.pages import Pages
from bluegreen.errors import UsageError

BEGUN: dict[str, Any] = {
    "id": 3, "app": "shop", "kind": "deploy", "version": "v2", "state": "running", "slot": None,
    "commit": None, "created_at": 1_800_000_000.0, "finished_at": None, "requested_by": "webhook",
    "error": None,
}  # fmt: skip


def test_an_operation_that_has_no_phase_yet_is_told_of() -> None:
    shown = Pages().fragment("parts/outcome.html", operation=BEGUN, phases=[], app=None)
    assert 'data-say="deploy v2: running"' in shown.html


def test_a_rollback_that_has_replaced_the_data_says_so_in_its_row_and_on_its_page() -> None:
    pages = Pages()
    parts = {name: {"html": ""} for name in ("outcome", "slots", "actions", "phases")}
    for backup, about in ((6, "v2 with the data of backup 6"), (None, "v2")):
        operation = BEGUN | {"kind": "rollback", "backup": backup, "begun_at": None}
        row = pages.text("parts/operations.html", operations=[operation])
        assert f'<a href="/operations/3">rollback {about}</a>' in row
        page = pages.text("operation.html", operation=operation, parts=parts, have="")
        assert f"<h1>Rollback {about} <span" in page
        assert f"<title>rollback {about} of shop" in page


def test_what_moves_a_cursor_is_shown_also_where_commands_are_marked_as_code() -> None:
    error = UsageError("it \x1b[2J says `ls\0`", remedy="one ` of no pair\x9b")
    shown = Pages().fragment("parts/failure.html", error=error).html
    assert r"it \x1b[2J says <code>ls\x00</code>" in shown
    assert r"one ` of no pair\x9b" in shown
