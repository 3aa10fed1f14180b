"""Where things are on a systemd host, and as whom the daemon runs there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bluegreen.layout import AppLayout, Layout

DAEMON_USER = "bluegreen"  # and its group
PROGRAM = Path("/opt/bluegreen")  # where bluegreen itself is installed
LIBEXEC = PROGRAM / "libexec"
# Run by units, as the app's user: see the files of these names in ``systemd/``.
EXEC_LAUNCHER = LIBEXEC / "bluegreen-exec"
ENV_LAUNCHER = LIBEXEC / "bluegreen-env"
JOB_LAUNCHER = LIBEXEC / "bluegreen-job"


class HostLayout(Layout):
    """A root in which nginx reads nothing that the daemon may write, and apps have own users."""

    def app(self, name: str) -> AppLayout:
        return replace(
            super().app(name), env_launcher=ENV_LAUNCHER, nginx_sockets=self.nginx_run / name
        )

    @property
    def gate_sign(self) -> Path:
        """Always there: systemd has the gate's sockets."""
        return self.run

    def nginx_markers(self, app: str) -> Path:
        """In full, as the host's nginx works where it likes."""
        return self.app(app).traffic

    def nginx_previews(self, app: str) -> Path:
        return self.app(app).previews

    def nginx_assets(self, app: str) -> Path:
        return self.app(app).assets

    @property
    def nginx(self) -> Path:
        return self.root / "etc/nginx/bluegreen"

    @property
    def nginx_run(self) -> Path:
        """Root's, and nothing above it is the daemon's.

        nginx makes a socket and then changes its mode, as root: a link that somebody put in its
        place in between would have the mode of any file changed.
        """
        return self.root / "run/bluegreen-nginx"


@dataclass(frozen=True)
class HostFiles:
    """The places of root's files that ``apply`` writes, under one root."""

    root: Path

    @property
    def units(self) -> Path:
        return self.root / "etc/systemd/system"

    @property
    def tmpfiles(self) -> Path:
        """The run directories, made at every boot."""
        return self.root / "etc/tmpfiles.d/bluegreen-apps.conf"

    @property
    def polkit_rule(self) -> Path:
        return self.root / "etc/polkit-1/rules.d/50-bluegreen.rules"

    @property
    def nginx_drop_in(self) -> Path:
        """Part of the host's nginx.service."""
        return self.units / "nginx.service.d/bluegreen.conf"

    @property
    def nginx_include(self) -> Path:
        """Part of the host's nginx: Debian's and nginx.org's include this directory."""
        return self.root / "etc/nginx/conf.d/bluegreen.conf"
