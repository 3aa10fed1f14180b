"""Of which apps nginx can tell, request by request, and as which users its workers do."""

from __future__ import annotations

import contextlib
import os
import pwd
import re

from bluegreen.config.settings import AppSettings
from bluegreen.layout import Layout
from bluegreen.model import SwitchMode

_USER = re.compile(r"^[ \t]*user[ \t]+([^\s;]+)", re.MULTILINE)
# Where nginx's own file does not say it: of Debian, of nginx.org, and what it is built with.
_USUAL = ("www-data", "nginx", "nobody")
_ROOT = 0


def can_tell(settings: AppSettings) -> bool:
    """Whether requests of the app pass through a server of ours or a location that we render."""
    return settings.nginx.mode != "upstream" or settings.nginx.switch is SwitchMode.MARKER


def senders(layout: Layout, *, own_nginx: bool) -> frozenset[int]:
    """The users whose datagrams count. Those of a host's nginx are in its main file."""
    if own_nginx:
        return frozenset({_ROOT, os.geteuid()})
    try:
        names = _USER.findall((layout.nginx.parent / "nginx.conf").read_text(errors="replace"))
    except OSError:
        names = []
    found = {_ROOT}
    for name in names or _USUAL:
        with contextlib.suppress(KeyError):
            found.add(pwd.getpwnam(name).pw_uid)
    return frozenset(found)
