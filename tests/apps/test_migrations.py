"""Each kind of the sample app's migrations does what its version says, and is undone or not."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bluegreen.demo.versions import MIGRATIONS, write_version

LIMIT = 60.0  # seconds


def migrations(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitor.migrations", *words],
        cwd=tree, env={**os.environ, "MONITOR_MIGRATION_SECONDS": "0.1"},
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip


def shape(tree: Path) -> tuple[set[str], set[str], int]:
    """The tables, the columns of servers, and how many of these there are."""
    with closing(sqlite3.connect(tree / "data/servers.db")) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        columns = connection.execute("SELECT name FROM pragma_table_info('servers')")
        (rows,) = connection.execute("SELECT count(*) FROM servers").fetchone()
        return {name for (name,) in tables}, {name for (name,) in columns}, rows


# What of the shape is different afterwards, the exit status, and whether it can be undone.
KINDS = {
    "audit": ({"audit_logs"}, set(), 0, 0, True),  # additive: a table
    "notes": ({"audit_logs"}, {"notes"}, 0, 0, True),  # additive: a column besides
    "rename": (set(), {"address", "host"}, 0, 0, True),
    "halfway": ({"audit_logs", "half"}, set(), 0, 1, False),
    "slow": ({"slow"}, set(), 0, 0, True),
    "delete": (set(), set(), 1, 0, False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_migration_of_each_kind(kind: str, tmp_path: Path) -> None:
    tables, columns, fewer, status, is_undone = KINDS[kind]
    names = list(MIGRATIONS[kind][1])
    write_version(f"v4-{kind}", tmp_path)
    assert migrations(tmp_path, "check").stdout.split() == names
    with closing(sqlite3.connect(tmp_path / "data/servers.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO servers VALUES (1, 'old one', 'x', 'blue')")
        connection.execute("INSERT INTO servers VALUES (2, 'first', 'x', 'blue')")
    before = shape(tmp_path)
    ran = migrations(tmp_path, "run")
    assert ran.returncode == status, ran.stderr
    after = shape(tmp_path)
    assert (before[0] ^ after[0], before[1] ^ after[1], before[2] - after[2]) == (
        tables, columns, fewer
    )  # fmt: skip
    assert (migrations(tmp_path, "check").stdout.split() == []) == (status == 0)
    undone = [migrations(tmp_path, "rollback", name).returncode for name in reversed(names)]
    assert (undone == [0] * len(names) and shape(tmp_path) == before) == is_undone
