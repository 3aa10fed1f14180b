"""What installing asks of systemd, and of the daemon."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from bluegreen.cli.client import Client
from bluegreen.errors import BluegreenError, SupervisorError
from bluegreen.installation.places import GATE_SERVICE, GATE_SOCKET, SERVICE, SOCKET

QUICK = 60.0  # seconds for what only changes what systemd knows
# Seconds for the daemon to end and to be ready: its unit bounds both, and it may ask for more while
# it recovers.
RESTART = 600.0
ANSWER = 10.0  # seconds until a daemon that is ready has answered
POLL = 0.1
QUOTED_LINES = 8
NOTIFY_RELOAD_SINCE = 253  # systemd's version
_BOOTED = Path("/run/systemd/system")


def is_booted() -> bool:
    """Whether systemd runs this host: it does not where an image is made."""
    return _BOOTED.is_dir()


def knows_notify_reload(said: str) -> bool:
    """Whether ``Type=notify-reload`` can be asked for, by what ``systemctl --version`` said."""
    version = said.split()[1]  # "systemd 252 (252.39-1~deb12u2)", then what it was built with
    return version.isdigit() and int(version) >= NOTIFY_RELOAD_SINCE


def run(*command: str, timeout: float = QUICK) -> str:
    """What ``command`` said. Raises SupervisorError with its words when it fails."""
    try:
        said = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, check=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise SupervisorError(
            f"{' '.join(command)} did not end within {timeout:g} s",
            remedy="see what systemd waits for: systemctl list-jobs; then install again",
        ) from error
    except subprocess.CalledProcessError as error:
        raise SupervisorError(
            f"{' '.join(command)} failed ({error.returncode})",
            detail=str(error.stderr).splitlines()[:QUOTED_LINES],
            remedy="mend what it names, then install again",
        ) from error
    return said.stdout


def state(name: str = SERVICE) -> str:
    """``active``, ``inactive``, ``failed``, ``activating`` …"""
    return run("systemctl", "show", "--value", "--property=ActiveState", name).strip()


def fragment() -> str:
    """The file that systemd reads the daemon's unit from; empty where there is none."""
    return run("systemctl", "show", "--value", "--property=FragmentPath", SERVICE).strip()


def runs_from(tree: Path) -> bool:
    """Whether the daemon that runs is the program in ``tree``."""
    pid = run("systemctl", "show", "--value", "--property=MainPID", SERVICE).strip()
    try:
        interpreter = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return Path(interpreter.decode(errors="replace")).is_relative_to(tree)


def stop() -> None:
    """End the daemon, and its socket: a command would start it again at once."""
    run("systemctl", "stop", SOCKET, SERVICE, timeout=RESTART)


def stop_gate() -> None:
    """End what answers for held requests."""
    run("systemctl", "stop", GATE_SOCKET, GATE_SERVICE)


def renew_gate() -> None:
    """Have it be this version, if it runs. Requests that wait wait at its socket meanwhile."""
    run("systemctl", "try-restart", GATE_SERVICE)


def make_ready(verb: str, version: str) -> None:
    """``start`` or ``restart`` the daemon, and have ``version`` of it answer.

    Raises SupervisorError with the last lines of its log.
    """
    since = f"@{int(time.time())}"
    try:
        run("systemctl", verb, SERVICE, timeout=RESTART)
        _answers(version)
    except BluegreenError as error:
        raise SupervisorError(
            f"the daemon of version {version} did not come up: {error.message}",
            detail=_log(since),
            remedy="see its whole log: journalctl -u bluegreen.service",
        ) from error


def _answers(version: str) -> None:
    until = time.monotonic() + ANSWER
    while True:
        try:
            found = Client("/", patience=ANSWER).get("/healthz")["version"]
        except BluegreenError:
            if time.monotonic() > until:
                raise
        else:
            if found == version:
                return
            raise SupervisorError(
                f"version {found} answers instead of {version}",
                remedy="see what runs: systemctl status bluegreen",
            )
        time.sleep(POLL)


def _log(since: str) -> list[str]:
    said = run("journalctl", "--unit", SERVICE, "--since", since, "--output", "cat", "--no-pager")
    return said.splitlines()[-QUOTED_LINES:]
