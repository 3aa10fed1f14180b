"""At the boot of a host the apps come first: the daemon waits until a processor has a rest.

``bluegreen-boot`` is what bluegreen.service runs before the daemon. Nobody's traffic
needs the daemon, and its start takes as much of the processors as that of two services.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

LIMIT = 3.0  # seconds that the daemon waits at most
LOOK = 0.1  # seconds between two looks
LOOKS = 3  # in a row in which there is rest
REST = 0.7  # of the time of all processors
ANSWER_WITHIN = 5.0  # seconds; systemd's own word
BOOTING = ("initializing", "starting")  # of systemctl(1), is-system-running

Times = tuple[int, int]


def is_booting() -> bool:
    """Whether the host is still starting what it is to run; not, if nobody can say."""
    try:
        said = subprocess.run(
            ["systemctl", "is-system-running"],
            capture_output=True, text=True, check=False, timeout=ANSWER_WITHIN,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.stdout.strip() in BOOTING


def processor_times() -> Times:
    """Idle and all time of all processors since boot, in clock ticks (proc(5), /proc/stat).

    Time in which a disk is waited for is not idle: apps that are read from it are not up yet.
    """
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return ticks[3], sum(ticks)


def wait_for_rest(
    times: Callable[[], Times] = processor_times, sleep: Callable[[float], None] = time.sleep
) -> bool:
    """Whether there was rest before the limit. Blocking."""
    rested = 0
    before = times()
    for _ in range(round(LIMIT / LOOK)):
        sleep(LOOK)
        now = times()
        idle, passed = now[0] - before[0], now[1] - before[1]
        before = now
        rested = rested + 1 if idle >= REST * passed else 0
        if rested == LOOKS:
            return True
    return False


def main() -> int:
    if is_booting():
        wait_for_rest()
    return 0
