"""``bluegreen serve``: the daemon in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import logging

from bluegreen.daemon import Daemon, Options
from bluegreen.errors import UsageError
from bluegreen.layout import Layout


def serve(options: argparse.Namespace) -> int:
    if options.root.parent == options.root:
        raise UsageError(
            "the embedded supervisor needs a directory of its own",
            remedy="name one: bluegreen serve --root DIR (running a whole host is not "
            "supported yet)",
        )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Our own handlers log what goes wrong in them; a malformed request is not worth a trace.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    asyncio.run(Daemon(Options(layout=Layout(options.root), stop_apps=options.stop_apps)).run())
    return 0
