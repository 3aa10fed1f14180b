"""``python -m bluegreen.notifications.apprise_worker``: one message through Apprise.

A process of its own, as Apprise blocks and what it asks may hang. What to send is read from the
standard input as JSON, as the URL may hold a secret that nobody is to see among the arguments.
An empty line is printed once Apprise is there, and then, as JSON, what came of it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from bluegreen.notifications.hiding import hide, parts_of


class _Heard(logging.Handler):
    """What Apprise says of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _send(task: dict[str, Any], started: Callable[[], None]) -> dict[str, Any]:
    import apprise

    heard = _Heard()
    logging.getLogger("apprise").addHandler(heard)
    receiver = apprise.Apprise.instantiate(task["url"], suppress_exceptions=True)
    started()
    if receiver is None:
        return {"known": False, "sent": False, "said": "Apprise does not know what its url means"}
    # What a service takes at once is short with some: the rest comes in further messages.
    receiver.overflow_mode = apprise.OverflowMode.SPLIT
    kinds = {"failure": apprise.NotifyType.FAILURE, "success": apprise.NotifyType.SUCCESS}
    sent = receiver.notify(
        title=task["title"], body=task["body"],
        notify_type=kinds.get(task["kind"], apprise.NotifyType.INFO),
    )  # fmt: skip
    said = hide("; ".join(heard.lines[-3:]), parts_of(task["url"]))
    return {"known": True, "sent": bool(sent), "said": said}


def main() -> int:
    task = json.load(sys.stdin)
    signal.alarm(int(task["seconds"]) + 1)  # should the daemon be gone by then
    with contextlib.suppress(OSError):
        os.nice(10)
    # Whatever services print is not the answer.
    out = os.dup(1)
    os.dup2(2, 1)
    answer = json.dumps(_send(task, lambda: _say(out, b"\n"))).encode()
    _say(out, answer)
    return 0


def _say(out: int, content: bytes) -> None:
    os.write(out, content)


if __name__ == "__main__":
    sys.exit(main())
