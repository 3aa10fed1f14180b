"""Where an installed bluegreen is: its versions, and the files that the system finds it by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bluegreen.files import link_atomically
from bluegreen.host.places import LIBEXEC, PROGRAM

SERVICE = "bluegreen.service"
SOCKET = "bluegreen.socket"
GATE_SERVICE = "bluegreen-gate.service"
GATE_SOCKET = "bluegreen-gate.socket"
UNITS = (SERVICE, SOCKET, GATE_SERVICE, GATE_SOCKET)
LAUNCHERS = ("bluegreen-boot", "bluegreen-exec", "bluegreen-env", "bluegreen-job")


@dataclass(frozen=True)
class Program:
    """The versions side by side. ``current`` is a link to the one that counts."""

    base: Path = PROGRAM

    @property
    def versions(self) -> Path:
        return self.base / "versions"

    @property
    def bin(self) -> Path:
        """A link that never changes, as units name the program by it."""
        return self.base / "bin"

    @property
    def libexec(self) -> Path:
        """Launchers, as units name them. They stay when bluegreen goes, as those of apps do."""
        return self.base / LIBEXEC.name

    @property
    def enabled(self) -> Path:
        """There once the daemon has been enabled; then that is the administrator's to decide."""
        return self.base / "enabled"

    @property
    def going_back(self) -> Path:
        """There while an upgrade is taken back: a daemon that is down is not meant to be.

        Its content is what is to be started ahead of the daemon, if anything.
        """
        return self.base / "going-back"

    def tree(self, name: str) -> Path:
        return self.versions / name

    def complete(self, name: str) -> Path:
        """There when all of the version is. Its content is ``bluegreen``'s version."""
        return self.tree(name) / "complete"

    def named(self, link: str) -> str | None:
        """Which version ``current`` or ``previous`` names."""
        path = self.base / link
        return path.readlink().name if path.is_symlink() else None

    def name(self, link: str, version: str) -> None:
        link_atomically(self.base / link, f"{self.versions.name}/{version}")


@dataclass(frozen=True)
class SystemPlaces:
    """``prefix`` is ``/usr/local``, or ``/usr`` for what a package brings."""

    prefix: Path

    @property
    def command(self) -> Path:
        return self.prefix / "bin/bluegreen"

    @property
    def units(self) -> Path:
        return self.prefix / "lib/systemd/system"

    @property
    def notify_reload(self) -> Path:
        return self.units / f"{SERVICE}.d/10-notify-reload.conf"

    @property
    def sysusers(self) -> Path:
        return self.prefix / "lib/sysusers.d/bluegreen.conf"

    @property
    def tmpfiles(self) -> Path:
        return self.prefix / "lib/tmpfiles.d/bluegreen.conf"

    @property
    def manual(self) -> Path:
        return self.prefix / "share/man/man1/bluegreen.1"

    @property
    def completions(self) -> dict[str, Path]:
        """By the shell."""
        share = self.prefix / "share"
        packaged = self.prefix == Path("/usr")
        # A Debian package has a directory of its own in zsh's path.
        of_zsh = "vendor-completions" if packaged else "site-functions"
        # Debian's fish looks into /usr/local only where XDG_DATA_DIRS names it.
        of_fish = share / "fish/vendor_completions.d" if packaged else Path("/etc/fish/completions")
        return {
            "bash": share / "bash-completion/completions/bluegreen",
            "zsh": share / "zsh" / of_zsh / "_bluegreen",
            "fish": of_fish / "bluegreen.fish",
        }
