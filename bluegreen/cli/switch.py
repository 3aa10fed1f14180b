"""``bluegreen switch back`` and ``switch to``: the quickest of all, so it imports the least."""

from __future__ import annotations

import json

from bluegreen.cli.client import Client, app_path

TYPE_CHECKING = False  # typing's own, without the time that importing typing takes
if TYPE_CHECKING:
    from argparse import Namespace

    from bluegreen.cli.quick import Asked


def switch(options: Asked | Namespace) -> int:
    client = Client(options.root)
    answer = client.post(f"{app_path(options.app)}/switch", {"to": options.slot})
    if options.json:
        print(json.dumps(answer))
        return 0
    milliseconds = answer["seconds"] * 1000
    print(f"{answer['app']}: {answer['to']} serves {answer['version']} now ({milliseconds:.1f} ms)")
    for warning in answer["warnings"]:
        print(f"warning: {warning}")
    return 0
