"""The rows of each table of a PostgreSQL database: in a dump, and in the database as it is now.

Run as a program, ``postgres_rows dump FILE`` or ``postgres_rows now URL``, by the app's user and
with the app's environment. The last line that it prints is ``{"rows": {"public.orders": 1000}}``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bluegreen.data import shapes

NOT_FOUND = 127  # what a shell ends with where there is no such program
QUERIES = Path(__file__).with_name("postgres_rows.sql")

_NAME = rb'(?:"(?:[^"]|"")*"|[^"\s.(]+)'
_COPY = re.compile(rb"COPY (%s\.%s) (?:\(.*\) )?FROM stdin;\n" % (_NAME, _NAME))
_END = b"\\.\n"


def counter(*words: str) -> tuple[str, ...]:
    """The words of a command that counts: ``dump``, FILE or ``now``, URL."""
    return (sys.executable, "-I", "-m", "bluegreen.data.postgres_rows", *words)


def rows_in_log(log: Path) -> dict[str, int]:
    """What a counter has printed last. Raises OSError, KeyError, TypeError, ValueError."""
    with log.open("rb") as file:
        file.seek(max(file.seek(0, 2) - shapes.LONGEST, 0))
        lines = [line for line in file.read().splitlines() if line.startswith(b'{"rows"')]
    if not lines:
        raise ValueError("nothing was counted")
    return shapes.counts(shapes.parse(lines[-1])["rows"])


def in_script(lines: Iterable[bytes]) -> dict[str, int]:
    """The rows of each table in what ``pg_restore`` writes as a script."""
    found: dict[str, int] = {}
    table: str | None = None
    for line in lines:
        if table is not None:
            if line == _END:
                table = None
            else:
                found[table] += 1
        elif (begins := _COPY.fullmatch(line)) is not None:
            table = begins[1].decode(errors="replace")
            found[table] = 0
    return found


def in_answers(lines: Iterable[bytes]) -> dict[str, int]:
    """The rows of each table in what ``psql`` answers to `QUERIES`."""
    found: dict[str, int] = {}
    for line in lines:
        if line.strip():
            found |= json.loads(line)
    return found


def main(what: str, where: str) -> int:
    """Exit status 0 when all is counted."""
    if what == "dump":
        words, count = ["pg_restore", "--data-only", "--file=-", where], in_script
    else:
        words = [
            "psql", "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align",
            "--set=ON_ERROR_STOP=1", f"--dbname={where}", f"--file={QUERIES}",
        ]  # fmt: skip
        count = in_answers
    try:
        process: subprocess.Popen[Any] = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
    except FileNotFoundError:
        print(f"{words[0]}: not found", file=sys.stderr)
        return NOT_FOUND
    with process:
        rows = count(process.stdout or ())
    if process.returncode == 0:
        print(json.dumps({"rows": rows}), flush=True)
    return abs(int(process.returncode))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
