"""Which release this is, in which slot it runs, and how it has been made to misbehave."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Fault(StrEnum):
    """What a file ``FAULT`` in the tree makes this release do wrong."""

    UNHEALTHY = "unhealthy"  # every health endpoint answers 503
    BUILD_FAILS = "build-fails"  # the build step ends with status 1
    CRASHES = "crashes"  # the api, or MONITOR_CRASH_SERVICE, exits MONITOR_CRASH_AFTER seconds (10)
    ERROR_PAGE = "error-page"  # /api/health answers 200 with an HTML error page
    IGNORES_SIGTERM = "ignores-sigterm"  # the api never ends by itself
    PORT_HELD = "port-held"  # the api runs on without listening when its port is taken
    OWN_PORT = "own-port"  # /login redirects to http://localhost:PORT/ of its own process
    WS_CLOSES = "ws-closes"  # /ws/monitoring closes with 1011 right after the handshake
    HARD_CODED_PORT = "hard-coded-port"  # the api listens on MONITOR_HARD_PORT, whatever API_PORT
    SLOW_STOP = "slow-stop"  # the api takes four seconds to end
    BUILD_FAILS_LATE = "build-fails-late"  # the same after MONITOR_BUILD_SECONDS (60)
    HUNGRY_BUILD = "hungry-build"  # the build step needs 1.2 GB of memory
    SINGLE_THREADED = "single-threaded"  # the api answers one connection at a time
    RATE_LIMITED = "rate-limited"  # /api/health answers 429 after MONITOR_RATE_LIMIT (99) a minute
    REWRITES_TITLE = "rewrites-title"  # the api changes the name the kernel shows for it


_AFFECTED = {
    Fault.BUILD_FAILS: "assets",
    Fault.BUILD_FAILS_LATE: "assets",
    Fault.HUNGRY_BUILD: "assets",
    Fault.CRASHES: os.environ.get("MONITOR_CRASH_SERVICE", "api"),
    Fault.OWN_PORT: "web",
    Fault.WS_CLOSES: "stream",
}


@dataclass(frozen=True, kw_only=True)
class Release:
    """What one service knows about itself. ``fault`` is None where another service is affected."""

    service: str
    version: str
    slot: str
    features: tuple[str, ...]
    fault: Fault | None

    @property
    def stamp(self) -> dict[str, str]:
        """``{"slot": …, "version": …}``: part of every JSON answer."""
        return {"slot": self.slot, "version": self.version}


def migration_names() -> tuple[str, ...]:
    """The migrations that this release brings, in their order."""
    file = ROOT / "MIGRATIONS"
    return tuple(file.read_text().split()) if file.exists() else ()


def read_release(service: str) -> Release:
    """The release of this tree, as ``service`` sees it. Raises ValueError on an unknown fault."""
    fault_file = ROOT / "FAULT"
    fault = Fault(fault_file.read_text().strip()) if fault_file.exists() else None
    if fault not in (None, Fault.UNHEALTHY) and _AFFECTED.get(fault, "api") != service:
        fault = None
    return Release(
        service=service,
        version=(ROOT / "VERSION").read_text().strip(),
        slot=os.environ.get("MONITOR_SLOT", "none"),
        features=tuple((ROOT / "FEATURES").read_text().splitlines()),
        fault=fault,
    )
