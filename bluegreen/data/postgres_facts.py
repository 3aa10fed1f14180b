"""What is to be known of a PostgreSQL database: its rows, also in a dump, its schema, its size.

Run as a program, ``postgres_facts WHAT WHERE``, by the app's user and with the app's environment.
The last line that it prints, of the rows of each table in the dump FILE or in the database URL now,
of the digest of each definition, and of the bytes on the server's disk:

- ``dump FILE``, ``now URL``: ``{"rows": {"public.orders": 1000}}``
- ``schema URL``: ``{"schema": {"table public.orders": "digest"}}``
- ``size URL``: ``{"size": {"bytes": 8388608}}``
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bluegreen.data import shapes

NOT_FOUND = 127  # what a shell ends with where there is no such program
_PRINTED = {"schema": "schema", "size": "size"}
_QUERIES = {
    "now": Path(__file__).with_name("postgres_rows.sql"),
    "schema": Path(__file__).with_name("postgres_schema.sql"),
    "size": Path(__file__).with_name("postgres_size.sql"),
}

_NAME = rb'(?:"(?:[^"]|"")*"|[^"\s.(]+)'
_COPY = re.compile(rb"COPY (%s\.%s) (?:\(.*\) )?FROM stdin;\n" % (_NAME, _NAME))
_END = b"\\.\n"


def asker(*words: str) -> tuple[str, ...]:
    """The words of a command: WHAT, WHERE."""
    return (sys.executable, "-I", "-m", "bluegreen.data.postgres_facts", *words)


def rows_in_log(log: Path) -> dict[str, int]:
    """What was printed of rows last. Raises OSError, KeyError, TypeError, ValueError."""
    return shapes.counts(_last_in(log, "rows"))


def schema_in_log(log: Path) -> dict[str, str]:
    """The same of a schema."""
    return shapes.table(shapes.text, _last_in(log, "schema"))


def size_in_log(log: Path) -> int:
    """The same of a size."""
    return shapes.counts(_last_in(log, "size"))["bytes"]


def _last_in(log: Path, kind: str) -> Any:
    begins = f'{{"{kind}"'.encode()
    with log.open("rb") as file:
        file.seek(max(file.seek(0, 2) - shapes.LONGEST, 0))
        lines = [line for line in file.read().splitlines() if line.startswith(begins)]
    if not lines:
        raise ValueError("nothing was printed of it")
    return shapes.parse(lines[-1])[kind]


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


def in_answers(lines: Iterable[bytes]) -> dict[str, Any]:
    """What ``psql`` answers to queries whose lines are JSON objects, in one."""
    found: dict[str, Any] = {}
    for line in lines:
        if line.strip():
            found |= json.loads(line)
    return found


def main(what: str, where: str) -> int:
    """Exit status 0 when all is counted, or told."""
    count: Callable[[Iterable[bytes]], dict[str, Any]]
    if what == "dump":
        words, count = ["pg_restore", "--data-only", "--file=-", where], in_script
    else:
        words = [
            "psql", "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align",
            "--set=ON_ERROR_STOP=1", f"--dbname={where}", f"--file={_QUERIES[what]}",
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
        found = count(process.stdout or ())
    if process.returncode == 0:
        print(json.dumps({_PRINTED.get(what, "rows"): found}), flush=True)
    return abs(int(process.returncode))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
