"""``bluegreen doctor``: what on this host keeps bluegreen from its work; each with its remedy."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence

from bluegreen.doctor.apps import look_at_apps
from bluegreen.doctor.daemon import look_at_daemon
from bluegreen.doctor.host import look_at_host
from bluegreen.doctor.nginx import look_at_nginx
from bluegreen.doctor.nouns import Look
from bluegreen.host.places import HostLayout
from bluegreen.layout import Layout
from bluegreen.words import counted


def doctor(options: argparse.Namespace) -> int:
    layout = Layout(options.root)
    if layout.is_whole:
        layout = HostLayout(options.root)
    looks = asyncio.run(_looks(layout))
    found = sum(len(look.findings) for look in looks)
    if options.json:
        print(json.dumps(_document(looks)))
    else:
        for look in looks:
            _show(look)
        print(_summary(found))
    return 1 if found else 0


async def _looks(layout: Layout) -> list[Look]:
    return [
        await look_at_nginx(layout),
        *await look_at_host(layout),
        await asyncio.to_thread(look_at_daemon, layout),
        *await asyncio.to_thread(look_at_apps, layout),
    ]


def _summary(found: int) -> str:
    if not found:
        return "nothing found"
    return counted(found, "finding")


def _show(look: Look) -> None:
    mark = "✗" if look.findings else "✓"
    print(f"{mark} {look.topic}: {'; '.join(look.seen)}" if look.seen else f"{mark} {look.topic}")
    for finding in look.findings:
        print(f"    {finding.what}")
        for line in finding.detail:
            print(f"      {line}")
        print(f"      Next: {finding.remedy}")
    if look.unseen:
        print(f"    not looked at, as only root may: {', '.join(look.unseen)}")


def _document(looks: Sequence[Look]) -> dict[str, object]:
    return {
        "looks": [
            {
                "topic": look.topic,
                "seen": look.seen,
                "findings": [
                    {"what": one.what, "detail": list(one.detail), "remedy": one.remedy}
                    for one in look.findings
                ],
                "unseen": look.unseen,
            }
            for look in looks
        ]
    }  # fmt: skip
