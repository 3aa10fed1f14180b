"""``bluegreen switch back`` and ``switch to``: the quickest of all, so it imports the least."""

from __future__ import annotations

import json

from bluegreen.cli.client import Client, SilentDaemonError, app_path
from bluegreen.errors import DaemonUnreachableError

TYPE_CHECKING = False  # typing's own, without the time that importing typing takes
if TYPE_CHECKING:
    from argparse import Namespace

    from bluegreen.cli.quick import Asked


def switch(options: Asked | Namespace) -> int:
    if getattr(options, "emergency", False):
        from bluegreen.cli.emergency import switch_by_hand

        return switch_by_hand(options)
    client = Client(options.root)
    try:
        answer = client.post(f"{app_path(options.app)}/switch", {"to": options.slot})
    except SilentDaemonError:
        raise
    except DaemonUnreachableError as error:
        way = "back" if options.slot == "back" else f"to {options.slot}"
        command = " ".join(filter(None, ("bluegreen switch", way, options.app, "--emergency")))
        raise DaemonUnreachableError(
            error.message,
            detail=error.detail,
            remedy=f"{error.remedy}; where it cannot be started: {command}",
        ) from error
    if options.json:
        print(json.dumps(answer))
        return 0
    milliseconds = answer["seconds"] * 1000
    print(f"{answer['app']}: {answer['to']} serves {answer['version']} now ({milliseconds:.1f} ms)")
    for warning in answer["warnings"]:
        print(f"warning: {warning}")
    return 0
