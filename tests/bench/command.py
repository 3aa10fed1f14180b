"""``bluegreen switch back`` as a whole process, beside the same Python doing nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.figures import Figure, median
from tests.bench.hosts import trivial_host
from tests.stack import PYTHON

ROUNDS = 100
WARM_UP = 5


def alternate(commands: Mapping[str, Sequence[str]], root: Path) -> dict[str, list[float]]:
    """Seconds of each command from its start to its end, in turn. Blocking."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    environment = {**os.environ, "BLUEGREEN_ROOT": str(root)}
    for number in range(WARM_UP + ROUNDS):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=environment)
            if number >= WARM_UP:
                times[name].append(time.perf_counter() - began)
    return times


async def measure() -> list[Figure]:
    commands = {
        "nothing": [PYTHON, "-c", "pass"],
        "switch": [str(Path(PYTHON).with_name("bluegreen")), "switch", "back"],
    }
    async with trivial_host() as host:
        times = await asyncio.to_thread(alternate, commands, host.root)
    nothing, switch = median(times["nothing"]), median(times["switch"])
    return [
        Figure(name="python3 -c pass, median", value=nothing * 1e3, unit="ms"),
        Figure(name="bluegreen switch back, median", value=switch * 1e3, unit="ms"),
        Figure(name="switch back ÷ nothing, medians", value=switch / nothing, unit="times", goal=3),
    ]
