"""``python -m tests.bench [NAME…] [--json FILE]``: measure, print tables, keep the figures."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.bench.figures import Figure, table
from tests.bench.servers import nginx_program

# In the order in which they run; each is a module with ``async def measure() -> list[Figure]``.
BENCHES = {
    "switch": "a switch back through the API beside the disk's floor and a reload",
    "peers": "failed requests in 100 switches, beside other ways to switch",
    "throughput": "requests a second through the rendered site and a bare proxy block",
    "command": "bluegreen switch back as a process, beside a Python that does nothing",
    "api": "looks through the API: 200 apps, a history of 1,000,000, beside a constant answer",
    "daemon": "a daemon with 200 apps: start, memory, idle processor time",
    "dashboard": "the page of 200 apps: first byte, size, a change until Chromium shows it",
    "overhead": "a deploy without the app's own time",
    "hold": "10,000 requests held at once, and let through after a switch",
    "hold_deploys": "twenty migrations under a hold, while visitors post",
    "watch": "a bad release left by itself; requests a second in a watch, and the daemon's time",
    "steps": "shares of 10,000 clients in steps, and how soon all are back",
    "backup": "a backup of 1 GB that is written to, beside sqlite3 .backup",
    "webhooks": "signed deliveries a second, beside Debian's webhook with an HMAC rule",
    "flood": "deploys and switches back beside 500 deliveries a second for 20 s, and without them",
    "archive": "a slot from 500 MB and 50,000 files, by tar and by git, beside their own commands",
    "systemd_host": "a systemd host: its boot, a switch back, the start of a slot",
}


def conditions() -> dict[str, Any]:
    """What the figures depend on; no names of machines and no paths."""
    nginx = subprocess.run([nginx_program(), "-v"], capture_output=True, text=True, check=True)
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "nginx": nginx.stderr.rpartition("/")[2].strip(),
        "load_at_the_start": os.getloadavg()[0],
    }


def run(name: str) -> list[Figure]:
    figures: list[Figure] = asyncio.run(importlib.import_module(f"tests.bench.{name}").measure())
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 every goal was reached, 1 one was missed, 2 wrong use."""
    listing = "\n".join(f"  {name:<12} {what}" for name, what in BENCHES.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=f"Benchmarks of bluegreen:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="default: all of them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures in FILE")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - BENCHES.keys():
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}")
    console = Console(width=None if sys.stdout.isatty() else 110)
    document: dict[str, Any] = {"conditions": conditions(), "benches": {}}
    console.print(", ".join(f"{key} {value}" for key, value in document["conditions"].items()))
    missed = False
    for name in options.names or BENCHES:
        began = time.monotonic()
        figures = run(name)
        missed = missed or any(figure.reached is False for figure in figures)
        document["benches"][name] = [figure.to_json() for figure in figures]
        console.print()
        console.print(table(f"{name}: {BENCHES[name]}", figures))
        console.print(f"took {time.monotonic() - began:.0f} s", style="dim")
        if options.json is not None:
            options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
