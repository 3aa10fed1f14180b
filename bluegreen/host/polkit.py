"""What the daemon, which is not root, may ask systemd for."""

from __future__ import annotations

from bluegreen.host.places import DAEMON_USER
from bluegreen.host.rendering import render
from bluegreen.supervisors.unit_names import PREFIX, TARGET


def rule() -> str:
    """The text of the polkit rule."""
    return render("polkit.rules.j2", user=DAEMON_USER, prefix=PREFIX, target=TARGET)
