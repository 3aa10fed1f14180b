"""What ``status`` says of releases that wait, and of what is not settled."""

from __future__ import annotations

import time
from typing import Any

from bluegreen.cli.queue import waiting_lines


def told(*, waiting: int = 0, webhooks: int = 1, unsettled: bool = False) -> str:
    now = time.time()
    queue: dict[str, Any] = {
        "policy": "latest",
        "webhooks": webhooks,
        "waiting": [
            {"id": n, "version": f"v{n}", "since": now - 240, "requested_by": "hook", "why": "so"}
            for n in range(waiting)
        ],
        "paused": {"app": "a", "operation": 7, "kind": "switch", "by": "ann", "at": now - 60},
    }  # fmt: skip
    left = {
        "id": 8, "kind": "deploy", "version": "v2", "why": "nginx is down", "remedy": "start it",
        "tries": 3, "next_try": now + 7.5,
    }  # fmt: skip
    return "\n".join(
        waiting_lines({"app": "a", "queue": queue, "unsettled": [left] if unsettled else []})
    )


def test_each_that_waits_says_why() -> None:
    lines = told(waiting=2).splitlines()
    assert lines[0] == "  waiting: operation 0, v0, since 4 min ago, by hook"
    assert lines[1] == "    it waits so"
    assert len(lines) == 4


def test_where_nothing_waits_yet_webhooks_are_said_to_wait_for_a_person() -> None:
    assert told() == (
        "  webhooks: their releases wait, since the switch by ann, 1 min ago, until a person "
        "deploys, or: bluegreen resume a"
    )
    assert told(webhooks=0) == ""


def test_what_is_not_settled_says_when_it_is_tried_again() -> None:
    said = told(webhooks=0, unsettled=True)
    assert "not settled: operation 8 (deploy v2), tried 3 times, again in 7" in said
    assert said.endswith("Next: start it")


def test_an_older_daemon_says_nothing_of_it() -> None:
    assert waiting_lines({"app": "a"}) == []
