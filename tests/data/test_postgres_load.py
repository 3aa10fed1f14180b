"""Loading a dump of PostgreSQL: afterwards the database is as it was, or nothing has changed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluegreen.data.postgres_load import loader
from tests.data.postgres import LIMIT, PASSWORD, Postgres, postgres


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def server(running: Postgres) -> Iterator[Postgres]:
    """Its database has a table of two rows, and an enumeration of its own."""
    running.sql(
        "CREATE TYPE kind AS ENUM ('tea', 'coffee');"
        "CREATE TABLE orders (id int PRIMARY KEY, kind kind);"
        "INSERT INTO orders VALUES (1, 'tea'), (2, 'coffee')"
    )
    yield running
    running.admin("GRANT CREATE ON DATABASE shop TO shop")
    running.admin("DROP SCHEMA IF EXISTS public, later, earlier CASCADE; CREATE SCHEMA public")
    running.admin("ALTER SCHEMA public OWNER TO pg_database_owner")
    running.admin("GRANT USAGE ON SCHEMA public TO PUBLIC")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env={**os.environ, "PGPASSWORD": PASSWORD},
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip


def dumped(server: Postgres, file: Path) -> str:
    made = run("pg_dump", "--format=custom", f"--file={file}", f"--dbname={server.url}")
    assert made.returncode == 0, made.stderr
    return str(file)


def script(server: Postgres) -> str:
    """All that pg_dump can say of the database."""
    made = run("pg_dump", f"--dbname={server.url}")
    assert made.returncode == 0, made.stderr
    return "".join(
        line for line in made.stdout.splitlines(keepends=True)
        if not line.startswith(("\\restrict", "\\unrestrict"))
    )  # fmt: skip


MIGRATED = """
ALTER TABLE orders ADD COLUMN note text NOT NULL DEFAULT '';
CREATE TABLE items (id serial PRIMARY KEY, of int NOT NULL REFERENCES orders (id), kind kind);
INSERT INTO items (of, kind) VALUES (1, 'tea');
CREATE VIEW kinds AS SELECT DISTINCT kind FROM orders;
CREATE FUNCTION ask() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE DOMAIN later_kind AS kind; CREATE TYPE pair AS (one int, other kind);
CREATE SCHEMA later; CREATE TABLE later.one (id int);
CREATE EXTENSION hstore; CREATE TABLE tagged (tags hstore);
CREATE PUBLICATION told FOR TABLE orders;
GRANT CREATE ON SCHEMA public TO PUBLIC;
SELECT lo_create(4711);
"""


def test_what_a_migration_has_made_is_gone(server: Postgres, tmp_path: Path) -> None:
    server.sql("CREATE SCHEMA earlier; CREATE TABLE earlier.one (id int); SELECT lo_create(42)")
    before, dump = script(server), dumped(server, tmp_path / "dump")
    server.sql(MIGRATED)
    loaded = run(*loader(server.url, dump))
    assert (loaded.returncode, loaded.stdout, loaded.stderr) == (0, "", "")
    assert script(server) == before
    server.sql(MIGRATED)  # it can be run once more
    assert run(*loader(server.url, dump)).returncode == 0
    assert server.sql("SELECT lo_unlink(42)") == ["1"]


def test_what_an_administrator_has_installed_stays(server: Postgres, tmp_path: Path) -> None:
    server.admin("CREATE EXTENSION pageinspect; COMMENT ON EXTENSION pageinspect IS 'of ours'")
    server.admin("GRANT CREATE ON SCHEMA public TO shop")
    before, dump = script(server), dumped(server, tmp_path / "dump")
    server.sql(MIGRATED.replace("GRANT CREATE ON SCHEMA public TO PUBLIC;", ""))
    loaded = run(*loader(server.url, dump))
    assert (loaded.returncode, loaded.stderr) == (0, "")
    assert script(server) == before


def test_privileges_on_the_schema_public_are_those_of_then(
    server: Postgres, tmp_path: Path
) -> None:
    server.sql("REVOKE USAGE ON SCHEMA public FROM PUBLIC; COMMENT ON SCHEMA public IS 'ours'")
    before, dump = script(server), dumped(server, tmp_path / "dump")
    server.sql("GRANT ALL ON SCHEMA public TO PUBLIC; COMMENT ON SCHEMA public IS NULL")
    assert run(*loader(server.url, dump)).returncode == 0
    assert script(server) == before


def test_half_a_load_has_changed_nothing(server: Postgres, tmp_path: Path) -> None:
    """The dump ends in the middle; the server refuses a part of it."""
    server.sql("CREATE SCHEMA earlier; CREATE TABLE many AS SELECT generate_series(1, 100000) AS n")
    dump = dumped(server, tmp_path / "dump")
    server.sql(MIGRATED)
    migrated = script(server)
    content = Path(dump).read_bytes()
    half = tmp_path / "half"
    half.write_bytes(content[: len(content) // 2])
    assert run(*loader(server.url, str(half))).returncode != 0
    assert script(server) == migrated
    server.sql("REVOKE CREATE ON DATABASE shop FROM shop")
    loaded = run(*loader(server.url, dump))
    assert loaded.returncode != 0
    assert "permission denied for database shop" in loaded.stderr
    assert script(server) == migrated


def test_a_program_that_is_missing_is_named(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    loaded = run(*loader(server.url, "dump"))
    assert (loaded.returncode, loaded.stderr) == (127, "psql: not found\n")
