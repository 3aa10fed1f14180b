"""``bluegreen switch … --emergency``: without the daemon, which must not run."""

from __future__ import annotations

import json
from pathlib import Path

from bluegreen.host.places import HostLayout
from bluegreen.layout import Layout
from bluegreen.model import Slot
from bluegreen.operations.emergency import switch_without_daemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from bluegreen.cli.quick import Asked


def switch_by_hand(options: Asked | Namespace) -> int:
    to = None if options.slot == "back" else Slot(options.slot)
    layout = Layout(Path(options.root))
    if layout.is_whole:
        layout = HostLayout(layout.root)
    moved = switch_without_daemon(layout, options.app, to)
    if options.json:
        document = {"app": moved.app, "to": moved.to, "warnings": list(moved.warnings)}
        print(json.dumps(document))
        return 0
    print(f"{moved.app}: {moved.to} has the traffic now")
    for warning in moved.warnings:
        print(f"warning: {warning}")
    print("Next: see to the daemon; it takes traffic as it finds it")
    return 0
