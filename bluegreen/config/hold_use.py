"""What an app file says of holding requests, and what keeps nginx from it."""

from __future__ import annotations

from collections.abc import Iterator

from bluegreen.config.draft import Draft
from bluegreen.config.places import Place
from bluegreen.config.problems import Finding
from bluegreen.gate.hold_file import LONGEST_HOLD
from bluegreen.model import SwitchMode


def hold_findings(draft: Draft) -> Iterator[Finding]:
    """What is well-formed, and would need a hold that cannot be made or undone."""
    asking = list(_asking(draft))
    for place in asking:
        yield from _of_nginx(draft, place)
        yield from _of_backup(draft, place)
    if asking:
        yield from _of_time(draft)


def _asking(draft: Draft) -> Iterator[Place]:
    """The keys that ask for a hold."""
    if draft.migrations is not None and draft.migrations.mode == "hold":
        yield ("migrations", "mode")
    if not draft.overlap:
        yield ("app", "overlap")


def _of_nginx(draft: Draft, place: Place) -> Iterator[Finding]:
    if draft.nginx is None:
        return
    if draft.nginx.mode == "upstream":
        wrong = 'with [nginx] mode = "upstream" requests cannot be held'
        yield Finding(place=place, wrong=wrong, right='Set mode = "site" or "snippet" in [nginx]')
    if draft.nginx.switch is SwitchMode.RELOAD:
        wrong = 'with [nginx] switch = "reload" requests cannot be held'
        yield Finding(place=place, wrong=wrong, right='Set switch = "marker" in [nginx]')


def _of_backup(draft: Draft, place: Place) -> Iterator[Finding]:
    backup = draft.backup
    if backup is not None and backup.command is not None and backup.restore_command is None:
        yield Finding(
            place=place,
            wrong="what fails under a hold is undone by a restore, and nothing restores what the "
            "command of [backup] prints",
            right="Add restore_command to [backup], which reads it from its standard input",
        )


def _of_time(draft: Draft) -> Iterator[Finding]:
    """Services that may take all the time to stop that there is for the way to the switch."""
    if draft.hold is None:
        return
    for name, service in draft.services.items():
        stop = 0.0 if service.settings is None else service.settings.stop_timeout
        if stop >= draft.hold.forward:
            yield Finding(
                place=("services", name, "stop_timeout"),
                wrong=f"it may take {stop:g} s to stop, and requests may be held for "
                f"{draft.hold.forward:.3g} s of [hold] limit on the way to the new version",
                right=f'Write limit = "{3 * stop:.0f}s" in [hold], or a shorter time here'
                if 3 * stop <= LONGEST_HOLD
                else f"Write a shorter time here, less than {draft.hold.forward:.3g}s",
            )
