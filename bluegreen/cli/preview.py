"""``bluegreen preview``: how to reach the idle slot through the site."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from bluegreen.cli.client import Client, app_path
from bluegreen.cli.times import time_of
from bluegreen.traffic.previews import LONGEST_PREVIEW
from bluegreen.words import counted


def preview(options: argparse.Namespace) -> int:
    client = Client(options.root)
    path = f"{app_path(options.app)}/preview"
    if options.revoke:
        answer = client.post(path, {"revoke": True})
        told = [f"{answer['app']}: {_ended(answer['revoked'])}"]
    else:
        answer = client.post(path, {"seconds": time_of("--for", options.time, LONGEST_PREVIEW)})
        told = preview_lines(answer)
    print(json.dumps(answer) if options.json else "\n".join(told))
    return 0


def preview_lines(answer: dict[str, Any]) -> list[str]:
    """What ``POST /v1/apps/{app}/preview`` answers, in words."""
    (header, key), *_ = answer["header"].items()
    until = time.strftime("%Y-%m-%d %H:%M", time.localtime(answer["until"]))
    link = answer["link"] or f"{answer['path']} of the site"
    return [
        f"{answer['app']}: {answer['version']} in {answer['slot']}, until {until}",
        f"  link:   {link}",
        *_own_lines(answer.get("own")),  # an older daemon has none
        f"  header: {header}: {key}",
        "Whoever has one of them sees it. The link sets a cookie; end all of them: "
        f"bluegreen preview {answer['app']} --revoke",
    ]


def _own_lines(own: dict[str, Any] | None) -> list[str]:
    """Of a name that no visitor uses."""
    if own is None:
        return []
    plain = [f"          {own['site']}, without a key from {', '.join(own['allow'])}"]
    return [f"  or:     {own['link']}", *(plain if own["allow"] else [])]


def _ended(count: int) -> str:
    if not count:
        return "no preview to end"
    return f"{counted(count, 'preview')} ended"
