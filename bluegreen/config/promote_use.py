"""What keeps a release from taking over in steps, as the rest of the app file is."""

from __future__ import annotations

from collections.abc import Iterator

from bluegreen.config.draft import Draft
from bluegreen.config.problems import Finding
from bluegreen.model import SwitchMode

_STEPS = ("promote", "steps")


def promote_findings(draft: Draft) -> Iterator[Finding]:
    """What is well-formed, and would need clients on both versions that cannot be on both."""
    if draft.promote is None or not draft.promote.steps:
        return
    if draft.nginx is not None and draft.nginx.mode == "upstream":
        wrong = 'with [nginx] mode = "upstream" clients are not told apart'
        yield Finding(place=_STEPS, wrong=wrong, right='Set mode = "site" or "snippet" in [nginx]')
    if draft.nginx is not None and draft.nginx.switch is SwitchMode.RELOAD:
        wrong = 'with [nginx] switch = "reload" clients cannot be led to the other slot'
        yield Finding(place=_STEPS, wrong=wrong, right='Set switch = "marker" in [nginx]')
    if not draft.overlap:
        yield Finding(
            place=_STEPS,
            wrong="both versions serve in steps, and with [app] overlap = false they never may",
            right='Remove it; mode = "manual" in [promote] can be had',
        )
    if draft.migrations is not None and draft.migrations.mode == "hold":
        yield Finding(
            place=_STEPS,
            wrong='both versions serve in steps, and with [migrations] mode = "hold" the old one '
            "cannot live with what the new one has migrated",
            right='Remove it; or, if it can live with that, set mode = "online" in [migrations]',
        )
