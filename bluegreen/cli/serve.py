"""``bluegreen serve``: the daemon in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os

from bluegreen import daemon_log
from bluegreen.api.control_socket import take_over
from bluegreen.daemon import Daemon, Options
from bluegreen.errors import UsageError
from bluegreen.layout import Layout
from bluegreen.notify import Notifier


def serve(options: argparse.Namespace) -> int:
    if options.root.parent == options.root:
        raise UsageError(
            "the embedded supervisor needs a directory of its own",
            remedy="name one: bluegreen serve --root DIR (running a whole host is not "
            "supported yet)",
        )
    daemon_log.configure(os.environ)
    faulthandler.enable()  # what hangs is in the log when the watchdog's SIGABRT ends it
    # Our own handlers log what goes wrong in them; a malformed request is not worth a trace.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    started = Options(
        layout=Layout(options.root),
        stop_apps=options.stop_apps,
        notifier=Notifier.take_from(os.environ),
        listener=take_over(os.environ),
    )
    asyncio.run(Daemon(started).run())
    return 0
