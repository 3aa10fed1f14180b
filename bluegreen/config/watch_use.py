"""What an app file says of watching requests, and what keeps nginx from telling of them."""

from __future__ import annotations

from collections.abc import Iterator

from bluegreen.config.draft import Draft
from bluegreen.config.explain import nearest
from bluegreen.config.problems import Finding
from bluegreen.model import SwitchMode


def watch_findings(draft: Draft) -> Iterator[Finding]:
    """What is well-formed, and could not be looked at."""
    for place, metric in draft.metrics:
        if metric.service is not None and metric.service not in draft.services:
            yield Finding(
                place=(*place, "service"),
                wrong=f'there is no service "{metric.service}"',
                right=nearest(metric.service, draft.services.keys()),
            )
    if draft.fails_over and not draft.overlap:
        yield Finding(
            place=("watch", "failover"),
            wrong="with overlap = false in [app] no other version runs that could take over",
            right="Remove it",
        )
    nginx = draft.nginx
    if nginx is None or nginx.mode != "upstream" or nginx.switch is not SwitchMode.RELOAD:
        return
    for key in sorted(draft.watch_limits):
        yield Finding(
            place=("watch", key),
            wrong='with mode = "upstream" and switch = "reload" in [nginx] no request passes '
            "through what bluegreen renders, so it knows of none",
            right='Set switch = "marker" in [nginx], or watch by probes and metrics',
        )
