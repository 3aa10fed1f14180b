"""What of an operation is output, and in which order."""

from __future__ import annotations

import os
from pathlib import Path

from bluegreen.api.logs import kept_output
from bluegreen.layout import Layout


def test_output_comes_in_the_order_in_which_it_was_written(tmp_path: Path) -> None:
    layout = Layout(tmp_path).app("shop")
    logs = layout.operation_logs(7)
    logs.mkdir(parents=True)
    assert kept_output(layout, 7) == []
    written = ("rehearse-run", "build-web", "build-api", "preflight-commands")
    for at, name in enumerate(reversed(written)):
        (logs / f"{name}.log").write_text("said\n")
        os.utime(logs / f"{name}.log", (at, at))
    (logs / "gate-web-up.log").touch()  # it has said nothing
    (logs / "rehearse-run.txt").write_text("no output\n")
    (logs / "build-removed.log").symlink_to(logs / "gone")
    assert kept_output(layout, 7) == [*reversed(written)]
    assert kept_output(layout, 8) == []
