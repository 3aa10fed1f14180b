"""Which apps' requests nginx can hold, as their app files are."""

from __future__ import annotations

from bluegreen.config.settings import AppSettings
from bluegreen.errors import RefusedError
from bluegreen.model import SwitchMode


def why_not_held(settings: AppSettings) -> RefusedError | None:
    """Why nginx cannot hold the app's requests, as its app file is."""
    nginx = settings.nginx
    if nginx.mode == "upstream":
        return RefusedError(
            f'requests of {settings.name} cannot be held: with mode = "upstream" nginx\'s part '
            "that could is the administrator's own",
            remedy='set mode = "site" or mode = "snippet" in [nginx] of the app file',
        )
    if nginx.switch is SwitchMode.RELOAD:
        return RefusedError(
            f'requests of {settings.name} cannot be held: with switch = "reload" nginx looks at '
            "no marker",
            remedy='set switch = "marker" in [nginx] of the app file',
        )
    return None
