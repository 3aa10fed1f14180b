"""A PostgreSQL database as a dump has it, in one transaction: all of it, or nothing has changed.

Run as a program, ``postgres_load URL FILE``, by the app's user and with the app's environment, as a
job, which ends with all of its processes. What is there and not in the dump, such as a table that a
migration has added, goes: ``pg_restore --clean`` would leave it, or trip over what refers to it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bluegreen.data.postgres_facts import NOT_FOUND

EMPTYING = Path(__file__).with_name("postgres_load.sql")

PG_LOCK_WAIT = "10s"  # for a table that somebody else has locked
PSQL = ("psql", "--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1")
# It has its COMMIT at its end: that of a damaged dump never gets there. Without the option, that of
# one with large objects would commit in its middle.
_SCRIPT = ("pg_restore", "--single-transaction", "--file=-")
# A pooler may lead each name to one database, whichever its address asks for: to the real one.
_ONLY_NEW = b"""
SELECT set_config('bluegreen.new', :'new', true);
DO $only$
BEGIN
    IF current_database() <> current_setting('bluegreen.new') THEN
        RAISE EXCEPTION 'whoever asks for the database % gets %, and nothing is written there',
            current_setting('bluegreen.new'), current_database()
            USING HINT = 'Let the address lead to the server itself, and not to a pooler.';
    END IF;
END
$only$;
"""
# Which an administrator has installed, and who uses them can neither remove nor install.
_FOREIGN = "SELECT extname FROM pg_extension WHERE NOT pg_has_role(extowner, 'USAGE')"
_EXTENSION = re.compile(r"\d+; \d+ \d+ (?:EXTENSION -|COMMENT - EXTENSION) (\S+) ")


def loader(*words: str) -> tuple[str, ...]:
    """The words of a command that loads: URL, FILE."""
    return (sys.executable, "-I", "-m", "bluegreen.data.postgres_load", *words)


def main(url: str, dump: str) -> int:
    """Exit status 0 when the database is as the dump has it."""
    try:
        foreign = _asked([*PSQL, "--tuples-only", "--no-align", f"--dbname={url}", "-c", _FOREIGN])
        with _without(dump, foreign.split()) as chosen:
            return load(url, [*_SCRIPT, *chosen, dump])
    except FileNotFoundError as error:
        print(f"{error.filename}: not found", file=sys.stderr)
        return NOT_FOUND
    except subprocess.CalledProcessError as error:
        return abs(int(error.returncode))


def _asked(words: Sequence[str]) -> str:
    return subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


@contextmanager
def _without(dump: str, extensions: Collection[str]) -> Iterator[tuple[str, ...]]:
    """What tells ``pg_restore`` to leave these out."""
    if not extensions:
        yield ()
        return
    listed = _asked(["pg_restore", "--list", dump]).splitlines(keepends=True)
    with tempfile.NamedTemporaryFile("w") as file:
        for line in listed:
            named = _EXTENSION.match(line)
            if named is None or named[1] not in extensions:
                file.write(line)
        file.flush()
        yield (f"--use-list={file.name}",)


def load(url: str, dump: Sequence[str], *, new: str | None = None) -> int:
    """Let the script that ``dump`` writes take the place of all that is there: its exit status.

    In one transaction, which that script commits at its end; or piece by piece into the database
    ``new``, of which nobody knows yet. Raises FileNotFoundError for a program.
    """
    words = [*PSQL, "--output=/dev/null", f"--set=new={new}", f"--dbname={url}", "--file=-"]
    before, after = (b"", b"") if new is None else (_ONLY_NEW, b"COMMIT;\n")
    reading, writing = os.pipe()
    with open(reading, "rb") as script:
        psql = subprocess.Popen(words, stdin=script)
    dumped = 0
    try:
        with open(writing, "wb", buffering=0) as script:
            script.write(b"BEGIN;\n" + before + EMPTYING.read_bytes() + after)
            dumped = subprocess.run(dump, stdin=subprocess.DEVNULL, stdout=script).returncode
    except BrokenPipeError:
        pass  # psql has ended, and has said why
    finally:
        loaded = psql.wait()
    return abs(loaded or dumped)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
