"""Where everything is on disk, under one root (``/`` on a host, DIR with ``--root``)."""

from __future__ import annotations

import functools
import platform
from dataclasses import dataclass
from hashlib import blake2s
from pathlib import Path

from bluegreen.model import Slot
from bluegreen.remedies import Remedies, remedies_of

LONGEST_SOCKET_PATH = 107  # bytes that fit into sockaddr_un (unix(7)), with a final zero
LONGEST_NUMBER = 18  # digits, of which the store takes any number


def number_of(name: str) -> int | None:
    """The operation that a file or directory is named after; None: none.

    What others may have put there is of no operation: ``007``, digits of other scripts, and a
    number longer than the store has any.
    """
    named = name.isascii() and name.isdecimal() and len(name) <= LONGEST_NUMBER
    return int(name) if named and name == str(int(name)) else None


MACHINE_ID = Path("/etc/machine-id")  # machine-id(5)


@functools.cache
def _this_host() -> str:
    """The machine's ID, and the host's name, which tells machines made of one image apart."""
    try:
        machine = MACHINE_ID.read_text().strip()
    except OSError:  # a container may have none
        machine = ""
    return f"{machine} {platform.node()}"


@dataclass(frozen=True)
class AppLayout:
    """The directories of one app."""

    base: Path
    logs: Path
    run: Path
    nginx_sockets: Path
    """Where nginx listens for it."""
    env_launcher: Path | None = None
    """Where an app has a user of its own, whose secrets the daemon cannot read: the program that
    gives them to what the user runs."""
    data: Path | None = None
    """In place of the shared directory: the copy that a rehearsal works on."""

    @property
    def has_own_user(self) -> bool:
        """Whether its builds and services run as a user that is not the daemon's."""
        return self.env_launcher is not None

    @property
    def slots(self) -> Path:
        """Holds ``blue`` and ``green``: links to the tree that each slot serves."""
        return self.base / "slots"

    def slot(self, slot: Slot) -> Path:
        return self.slots / slot.value

    @property
    def trees(self) -> Path:
        """One directory a built release. A tree never moves: builds bake its path in."""
        return self.base / "trees"

    @property
    def shared(self) -> Path:
        return self.base / "shared" if self.data is None else self.data

    @property
    def copy_suffix(self) -> str:
        """What ends the names of copies that are in no directory, such as those of databases.

        Of the copy in ``data`` and of this host alone, as several may use one server: the same in a
        next daemon, which removes them. Empty where there is no copy.
        """
        if self.data is None:
            return ""
        told = f"{_this_host()}\0{self.data}".encode()
        return f"_copy_{blake2s(told, digest_size=5).hexdigest()}"

    @property
    def copies(self) -> Path:
        """Says which copies may be there that are in no directory, until they are gone."""
        return self.base / "copies"

    @property
    def backups(self) -> Path:
        return self.base / "backups"

    @property
    def cache(self) -> Path:
        """The git mirror and the build caches; kept from release to release."""
        return self.base / "cache"

    @property
    def plans(self) -> Path:
        """Holds what plans look at while they are made."""
        return self.cache / "plans"

    @property
    def traffic(self) -> Path:
        """The marker directory that nginx reads."""
        return self.base / "traffic"

    @property
    def previews(self) -> Path:
        """Holds the keys of previews, of which nginx asks whether one is there."""
        return self.base / "previews"

    @property
    def assets(self) -> Path:
        """Copies of what each tree has for browsers, and links to those of the slots' trees.

        nginx reads them, also where it may not look into a tree.
        """
        return self.base / "assets"

    def assets_of(self, slot: Slot) -> Path:
        """The link to the copy of the tree in ``slot``."""
        return self.assets / slot.value

    def assets_beside(self, slot: Slot) -> Path:
        """A link to that of the other slot: nginx knows one slot, and the name of no other."""
        return self.assets / f"beside-{slot.value}"

    @property
    def last_active(self) -> Path:
        """Says which slot was last switched to, should the marker be meddled with.

        Where nginx's own files cannot say it, since the daemon does not write them.
        """
        return self.base / "last-active"

    @property
    def unwritten(self) -> Path:
        """Names the operation since whose backup nobody but its release has written."""
        return self.base / "unwritten"

    @property
    def wanted(self) -> Path:
        """Holds ``blue`` and ``green`` while that slot's services are to run, at boot too.

        Each says which version it is about, and which defaults its variables have.
        """
        return self.base / "wanted"

    @property
    def jobs(self) -> Path:
        """Holds what each running job is to do, for the unit that does it."""
        return self.run / "jobs"

    @property
    def work(self) -> Path:
        """Holds what each running job on the app's data is to do, and its report."""
        return self.run / "work"

    def operation_logs(self, operation: int) -> Path:
        """Holds ``PHASE-STEP.log`` files: the output of an operation's build steps."""
        return self.logs / "operations" / str(operation)

    def service_log(self, slot: Slot, place: str) -> Path:
        """``place`` is that of the `UnitKey`: the service, and perhaps which instance."""
        return self.logs / "services" / f"{slot.value}-{place}.log"


@dataclass(frozen=True)
class Layout:
    """The directories of one root."""

    root: Path

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole host's, and not a directory of its own."""
        return self.root == self.root.parent

    @property
    def remedies(self) -> Remedies:
        """What an operator is told to do next, here."""
        return remedies_of(self.root)

    @property
    def config(self) -> Path:
        return self.root / "etc/bluegreen"

    @property
    def app_files(self) -> Path:
        return self.config / "apps"

    @property
    def daemon_file(self) -> Path:
        return self.config / "bluegreen.toml"

    @property
    def state(self) -> Path:
        return self.root / "var/lib/bluegreen"

    @property
    def database(self) -> Path:
        return self.state / "bluegreen.db"

    @property
    def sessions(self) -> Path:
        """The dashboard's, which a restart of the daemon does not end."""
        return self.state / "sessions.json"

    @property
    def nginx(self) -> Path:
        return self.state / "nginx"

    @property
    def logs(self) -> Path:
        return self.root / "var/log/bluegreen"

    @property
    def run(self) -> Path:
        return self.root / "run/bluegreen"

    @property
    def control_socket(self) -> Path:
        return self.run / "control.sock"

    @property
    def daemon_pid(self) -> Path:
        """Says who the daemon is; that there is one, its lock says (see ``daemon_lock``)."""
        return self.run / "daemon.pid"

    @property
    def process_records(self) -> Path:
        """One small file a running process; gone at a reboot, as the processes are."""
        return self.run / "processes"

    @property
    def nginx_socket(self) -> Path:
        """Where nginx answers which slot it serves (see ``traffic``)."""
        return self.nginx_run / "nginx.sock"

    @property
    def gate_sockets(self) -> tuple[Path, ...]:
        """Where nginx asks what becomes of the requests that it holds (see ``gate``).

        Several, as Linux queues 4,096 connections at each that are not accepted yet.
        """
        return tuple(self.run / f"gate-{number}.sock" for number in range(1, 5))

    @property
    def gate_record(self) -> Path:
        """Names the gate's process, where no service manager knows it."""
        return self.run / "gate.json"

    @property
    def gate_sign(self) -> Path:
        """Is there where nginx may ask the gate; no socket, as of these nginx cannot tell."""
        return self.gate_record

    @property
    def watch_socket(self) -> Path:
        """Where nginx tells of requests, a datagram each, while an app is watched."""
        return self.run / "watch.sock"

    @property
    def nginx_run(self) -> Path:
        """Holds the sockets that nginx makes."""
        return self.run

    @property
    def apps(self) -> Path:
        """Where the workers of an nginx of our own work; held by the daemon."""
        return self.state / "apps"

    def nginx_markers(self, app: str) -> Path:
        """The app's marker directory, as nginx is to name it.

        From where its workers work: a short path is looked up in two thirds of the time, and that
        at each request.
        """
        return self.app(app).traffic.relative_to(self.apps)

    def nginx_previews(self, app: str) -> Path:
        """Where the keys of its previews are, as nginx is to name it."""
        return self.app(app).previews.relative_to(self.apps)

    def nginx_assets(self, app: str) -> Path:
        """Where the copies of its assets are, as nginx is to name them."""
        return self.app(app).assets.relative_to(self.apps)

    def app(self, name: str) -> AppLayout:
        return AppLayout(
            base=self.apps / name,
            logs=self.logs / "apps" / name,
            run=self.run / "apps" / name,
            nginx_sockets=self.run / "apps" / name,
        )
