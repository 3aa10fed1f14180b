"""What an operator does next, by the kind of root: a whole host, or a directory of its own.

On a host root writes what apps run with, and alone reads secrets; under a directory one user does
everything. Imported by the quickest command, so it imports nothing at once.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own, without the time that importing typing takes
if TYPE_CHECKING:
    from pathlib import Path

HOST = "/"


class Remedies:
    """What is said on a root of its own, at the directory ``root``."""

    def __init__(self, root: Path | str) -> None:
        self._root = root

    @property
    def root(self) -> str:
        """The directory, as a shell takes it."""
        from shlex import quote

        return quote(str(self._root))

    @property
    def bluegreen(self) -> str:
        """The command, up to the name of what it is to do."""
        return f"bluegreen --root {self.root}"

    @property
    def take_up(self) -> str:
        """The command that puts changed app files in force."""
        return f"{self.bluegreen} reload"

    @property
    def start(self) -> str:
        """The command that starts the daemon."""
        return f"bluegreen serve --root {self.root}"

    @property
    def restart(self) -> str:
        """How to end the daemon and start it again."""
        return f"end it by SIGTERM, then: {self.start}"

    @property
    def see_why(self) -> str:
        """Where the daemon says what keeps it from its work."""
        return "read what the daemon has printed where it was started"

    @property
    def see_nginx(self) -> str:
        """What to look at where nginx does not answer."""
        return "see that nginx runs and includes bluegreen's files"

    @staticmethod
    def usable(file: Path | str) -> str:
        """What a file that variables come from has to be."""
        return f"Make {file} a readable text file for the user that runs the daemon"

    @classmethod
    def usable_by_daemon(cls, file: Path | str) -> str:
        """What a file has to be that the daemon itself reads."""
        return cls.usable(file)


class HostRemedies(Remedies):
    """What is said on a whole host, where systemd runs the daemon."""

    bluegreen = "bluegreen"
    take_up = "sudo bluegreen apply"
    start = "sudo systemctl start bluegreen"
    restart = "sudo systemctl restart bluegreen"
    see_why = "read what the daemon says: journalctl -u bluegreen -e"
    see_nginx = (
        "see why: systemctl status nginx; if it runs, see that it includes bluegreen's files"
    )

    @staticmethod
    def usable(file: Path | str) -> str:
        """See `Remedies.usable`. systemd reads it as root, for the app alone."""
        return f"Make {file} a text file that only root may read: mode 0600"

    @classmethod
    def usable_by_daemon(cls, file: Path | str) -> str:
        """See `Remedies.usable_by_daemon`. Not for its group, in which people are."""
        return f"Make {file} a text file that only the user bluegreen may read: mode 0400"


def remedies_of(root: Path | str) -> Remedies:
    """Those of the root at ``root``."""
    return HostRemedies(root) if str(root) == HOST else Remedies(root)
