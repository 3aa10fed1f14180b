"""``python backup_writer.py DATABASE``: a write every 50 ms until its standard input says so.

Prints a line once it has begun, and at the end the seconds of its slowest write.
"""

from __future__ import annotations

import select
import sqlite3
import sys
import time

PAUSE = 0.05  # seconds


def main(path: str) -> None:
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    slowest, begun = 0.0, False
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        began = time.perf_counter()
        connection.execute("INSERT INTO orders (name, text) VALUES ('x', zeroblob(500))")
        slowest = max(slowest, time.perf_counter() - began)
        if not begun:
            print("writing", flush=True)
            begun = True
    print(slowest, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
