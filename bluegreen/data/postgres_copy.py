"""A copy of a PostgreSQL database on its own server, as it is at one instant; and its end.

Run as a program, ``postgres_copy make URL NAME URL-OF-NAME`` or ``postgres_copy drop URL NAME``, by
the app's user and with the app's environment, as a job. What is made is for a rehearsal: a dump
that goes straight into a new database, which nobody else knows of. Writers do not wait for it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bluegreen.config.postgres_address import is_of_copy
from bluegreen.data.postgres_facts import NOT_FOUND
from bluegreen.data.postgres_load import PG_LOCK_WAIT, PSQL, load

MAKING = Path(__file__).with_name("postgres_copy.sql")
DROPPING = Path(__file__).with_name("postgres_drop.sql")
# Without comments, as that of an extension is its owner's to make, which the app may not be; and no
# copy subscribes to what another server publishes, or publishes: that of all tables is an
# administrator's.
_DUMP = (
    "pg_dump", "--no-password", f"--lock-wait-timeout={PG_LOCK_WAIT}",
    "--no-comments", "--no-subscriptions", "--no-publications",
)  # fmt: skip


def copier(*words: str) -> tuple[str, ...]:
    """The words of a command: ``make``, URL, NAME, URL-OF-NAME or ``drop``, URL, NAME."""
    return (sys.executable, "-I", "-m", "bluegreen.data.postgres_copy", *words)


def main(what: str, url: str, name: str, *copy: str) -> int:
    """Exit status 0 when the copy is there, or gone.

    Whatever else is wrong: what is not called as copies are is neither made nor dropped.
    """
    if not is_of_copy(name):
        print(f"{name}: not the name of a copy", file=sys.stderr)
        return 1
    script = MAKING if what == "make" else DROPPING
    asking = (*PSQL, f"--dbname={url}", f"--set=copy={name}", f"--file={script}")
    try:
        done = subprocess.run(asking, stdin=subprocess.DEVNULL).returncode
        if done == 0 and what == "make":
            done = load(copy[0], [*_DUMP, f"--dbname={url}"], new=name)
        return abs(done)
    except FileNotFoundError as error:
        print(f"{error.filename}: not found", file=sys.stderr)
        return NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
