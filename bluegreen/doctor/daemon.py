"""Whether the daemon answers, which version it is, and what it says itself."""

from __future__ import annotations

import stat

from bluegreen import __version__
from bluegreen.cli.client import Client
from bluegreen.daemon_lock import holder
from bluegreen.doctor.nouns import Look
from bluegreen.errors import BluegreenError
from bluegreen.host.directories import STORE_MODE
from bluegreen.layout import Layout
from bluegreen.words import counted

SOCKET_MODE = 0o660


def look_at_daemon(layout: Layout) -> Look:
    """Blocking."""
    look = Look("daemon")
    if not layout.is_whole:
        _own_files(look, layout)
    client = Client(layout.root, patience=10.0)
    try:
        alive = client.get("/healthz")
        status = client.get("/v1/apps")
    except BluegreenError as error:
        look.find_error(error)
        return look
    look.seen.append(f"{alive['version']} answers, with {counted(len(status['apps']), 'app')}")
    if alive["version"] != __version__:
        look.find(
            f"the daemon is bluegreen {alive['version']}, and this command {__version__}",
            f"restart the daemon, and the apps stay up: {layout.remedies.restart}",
        )
    for problem in status["problems"]:
        look.find(f"not taken up: {problem}", f"mend it, then: {layout.remedies.take_up}")
    for warning in status["warnings"]:
        what, _, remedy = warning.partition("; ")
        look.find(what, remedy or f"see {layout.remedies.bluegreen} status")
    for app in status["apps"]:
        for one in app["unsettled"]:
            left = f"{app['app']}: operation {one['id']} could not be finished or undone"
            look.find(f"{left}: {one['why']}", one["remedy"])
    return look


def _own_files(look: Look, layout: Layout) -> None:
    """Of a root of its own; on a whole host ``apply`` looks at them."""
    for file, wanted in ((layout.database, STORE_MODE), (layout.control_socket, SOCKET_MODE)):
        try:
            mode = stat.S_IMODE(file.lstat().st_mode)
        except OSError:
            continue
        if mode & ~wanted:
            look.find(
                f"{file} has the mode {mode:04o}: others may use it", f"chmod {wanted:o} {file}"
            )
    if (pid := holder(layout.root)) is not None:
        look.seen.append(f"pid {pid}")
