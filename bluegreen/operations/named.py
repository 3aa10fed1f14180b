"""The app that somebody means."""

from __future__ import annotations

from collections.abc import Mapping

from bluegreen.errors import NotFoundError, UsageError, WhichAppError
from bluegreen.layout import Layout
from bluegreen.operations.runtime import AppRuntime


def refuse_if_removed(app: AppRuntime) -> None:
    """Raises NotFoundError where a reload has removed the app while a request waited."""
    if app.removed:
        raise NotFoundError(
            f"there is no app named {app.name} any more",
            remedy=f"see what there is: {app.parts.layout.app_files}",
        )


def find(apps: Mapping[str, AppRuntime], name: str, layout: Layout) -> AppRuntime:
    """The app of that name; NotFoundError names those that exist."""
    if name not in apps:
        raise NotFoundError(
            f"there is no app named {name}",
            remedy=f"known apps: {', '.join(sorted(apps)) or 'none'}; describe a new one in "
            f"{layout.app_files}, then: {layout.remedies.take_up}",
        )
    return apps[name]


def only(apps: Mapping[str, AppRuntime], layout: Layout) -> str:
    """The name of the host's only app. Raises UsageError where there are more, or none."""
    names = sorted(apps)
    if len(names) == 1:
        return names[0]
    if names:
        raise WhichAppError(
            f"which app? this host has {', '.join(names)}",
            remedy="name one, as in: bluegreen status APP",
        )
    raise UsageError(
        "which app? there is none",
        remedy=f"describe one in {layout.app_files}/APP.toml, then: {layout.remedies.take_up}",
    )
