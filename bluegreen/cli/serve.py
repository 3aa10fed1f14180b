"""``bluegreen serve``: the daemon in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os
import pwd
from pathlib import Path

from bluegreen import daemon_log
from bluegreen.api.control_socket import take_over
from bluegreen.daemon import Daemon, Options
from bluegreen.errors import BluegreenError, UsageError
from bluegreen.host.places import DAEMON_USER, HostLayout
from bluegreen.layout import Layout
from bluegreen.notify import Notifier

log = logging.getLogger(__name__)

UMASK = 0o007  # on a host: what the daemon makes is its own, and an app's group's where so arranged


def serve(options: argparse.Namespace) -> int:
    on_host = _is_on_host(options.root, options.supervisor)
    if on_host:
        os.umask(UMASK)
    daemon_log.configure(os.environ)
    faulthandler.enable()  # what hangs is in the log when the watchdog's SIGABRT ends it
    # Our own handlers log what goes wrong in them; a malformed request is not worth a trace.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    started = Options(
        layout=HostLayout(options.root) if on_host else Layout(options.root),
        on_host=on_host,
        stop_apps=options.stop_apps,
        notifier=Notifier.take_from(os.environ),
        listener=take_over(os.environ),
    )
    try:
        asyncio.run(Daemon(started).run())
    except (BluegreenError, OSError):
        raise  # said in words
    except Exception:
        log.exception("the daemon ends by a defect")
        raise
    return 0


def _is_on_host(root: Path, supervisor: str | None) -> bool:
    """Whether this is the daemon of the whole host. Raises UsageError."""
    is_whole = Layout(root).is_whole
    if supervisor not in (None, "systemd" if is_whole else "embedded"):
        raise UsageError(
            f"the {supervisor} supervisor does not go with the root {root}",
            remedy="the whole host (/) is systemd's, and needs no --supervisor; the embedded one "
            "needs a directory of its own: bluegreen serve --root DIR",
        )
    if is_whole and _user() != DAEMON_USER:
        raise UsageError(
            f"the daemon of the whole host runs as the user {DAEMON_USER}, and this is {_user()}",
            remedy="have systemd start it: sudo systemctl start bluegreen; or name a directory "
            "of its own: bluegreen serve --root DIR",
        )
    return is_whole


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
