"""``python writer.py DATABASE``: writes a row in each of two tables, in one transaction, for ever.

Prints a line once it has begun. The rows of the two tables are equal in number at every instant.
"""

from __future__ import annotations

import sqlite3
import sys


def main(path: str) -> None:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    written = 0
    while True:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO one (text) VALUES ('x')")
        connection.execute("INSERT INTO two (text) VALUES ('x')")
        connection.execute("COMMIT")
        written += 1
        if written == 10:
            print("writing", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
