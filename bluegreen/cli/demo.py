"""``bluegreen demo``: all of it on this machine, in a root of its own."""

from __future__ import annotations

import argparse
import asyncio
import sys


def demo(options: argparse.Namespace) -> int:
    from bluegreen.demo.narration import Narrator, make_console
    from bluegreen.demo.play import play

    if options.root.parent != options.root:
        print("the demo makes a root of its own; the one that is named stays as it is",
              file=sys.stderr)  # fmt: skip
    narrator = Narrator(make_console(quiet=options.json), as_json=options.json)
    return asyncio.run(play(narrator, keep=options.keep))
