"""A copy of a PostgreSQL database on its own server: what there was at one instant, and its end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bluegreen.config.postgres_address import copy_of
from bluegreen.data.postgres_copy import copier
from bluegreen.data.postgres_facts import asker, in_answers
from tests.data.postgres import LIMIT, PASSWORD, Postgres, postgres

SUFFIX = "_copy_0a1b2c3d4e"
NAME = f"shop{SUFFIX}"
MADE = """
    CREATE SCHEMA app;
    CREATE TYPE app.kind AS ENUM ('tea', 'coffee');
    CREATE TABLE app.orders (id serial PRIMARY KEY, kind app.kind NOT NULL DEFAULT 'tea',
        item varchar(20) CHECK (item IN ('black', 'green')));
    CREATE INDEX ON app.orders (kind);
    CREATE VIEW app.kinds AS SELECT DISTINCT kind FROM app.orders;
    CREATE FUNCTION app.twice(a int) RETURNS int LANGUAGE sql AS 'SELECT a * 2';
    INSERT INTO app.orders (item) SELECT 'green' FROM generate_series(1, 1000);
    SELECT lo_from_bytea(0, 'abc');
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    with postgres() as server:
        server.admin("ALTER ROLE shop CREATEDB")
        server.sql(MADE)
        server.admin("ALTER DATABASE shop SET search_path TO app, public")
        yield server


@pytest.fixture
def server(running: Postgres) -> Iterator[Postgres]:
    yield running
    assert run(copier("drop", running.url, NAME)).returncode == 0


def run(words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env={**os.environ, "PGPASSWORD": PASSWORD},
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip


def make(server: Postgres) -> subprocess.CompletedProcess[str]:
    return run(copier("make", server.url, NAME, copy_of(server.url, SUFFIX)))


def asked(server: Postgres, text: str) -> list[str]:
    """What the copy answers."""
    return Postgres(server.directory, database=NAME).sql(text)


def databases(server: Postgres) -> list[str]:
    return server.sql("SELECT datname FROM pg_database WHERE datname LIKE 'shop%' ORDER BY 1")


def schema(url: str) -> dict[str, str]:
    done = run(asker("schema", url))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = in_answers([done.stdout.encode()])["schema"]
    return found


def test_it_has_all_that_there_is_and_is_gone_afterwards(server: Postgres) -> None:
    done = make(server)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert asked(server, "SELECT count(*), max(item), max(kind) FROM orders") == ["1000|green|tea"]
    assert asked(server, "SELECT * FROM kinds") == ["tea"]
    assert asked(server, "SELECT twice(21)") == ["42"]
    assert asked(server, "SELECT count(*) FROM pg_largeobject_metadata") == ["1"]
    assert asked(server, "INSERT INTO orders DEFAULT VALUES RETURNING id") == ["1001"]
    assert server.sql("SELECT count(*) FROM app.orders") == ["1000"]
    assert run(copier("drop", server.url, NAME)).returncode == 0
    assert databases(server) == ["shop"]


def test_what_an_earlier_attempt_has_left_goes_with_whoever_is_connected_to_it(
    server: Postgres,
) -> None:
    assert make(server).returncode == 0
    asked(server, "CREATE TABLE of_before (id int)")
    stranger = subprocess.Popen(
        ["psql", "--no-psqlrc", f"--dbname={copy_of(server.url, SUFFIX)}"],
        env={**os.environ, "PGPASSWORD": PASSWORD},
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert make(server).returncode == 0
        assert asked(server, "SELECT to_regclass('of_before') IS NULL") == ["t"]
    finally:
        stranger.kill()
        stranger.communicate(timeout=LIMIT)


def test_a_role_that_may_not_make_one_is_told_so(server: Postgres) -> None:
    server.admin("ALTER ROLE shop NOCREATEDB")
    try:
        done = make(server)
        assert done.returncode != 0
        assert "permission denied to create database" in done.stderr
        assert databases(server) == ["shop"]
    finally:
        server.admin("ALTER ROLE shop CREATEDB")


def test_an_extension_of_an_administrator_is_in_it_too(server: Postgres) -> None:
    """It is in template1, as for all databases of the server; the app may not make it."""
    template = Postgres(server.directory, database="template1")
    for one in (template, server):
        one.admin("CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pg_trgm SCHEMA public")
    server.sql("CREATE INDEX searched ON app.orders USING gin (item public.gin_trgm_ops)")
    try:
        done = make(server)
        assert done.returncode == 0, done.stderr
        assert asked(server, "SELECT to_regclass('searched') IS NOT NULL") == ["t"]
    finally:
        server.sql("DROP INDEX app.searched")
        for one in (template, server):
            one.admin("DROP EXTENSION pg_stat_statements; DROP EXTENSION pg_trgm")


def test_it_has_the_encoding_and_locale_of_the_original(server: Postgres) -> None:
    other = Postgres(server.directory, database="shop_latin")
    server.admin(
        "CREATE DATABASE shop_latin OWNER shop TEMPLATE template0"
        " ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    try:
        other.sql("CREATE TABLE word (text text); INSERT INTO word VALUES (chr(228))")
        name = f"shop_latin{SUFFIX}"
        done = run(copier("make", other.url, name, copy_of(other.url, SUFFIX)))
        assert done.returncode == 0, done.stderr
        copy = Postgres(server.directory, database=name)
        assert copy.sql("SHOW server_encoding") == ["LATIN1"]
        assert copy.sql("SELECT ascii(text) FROM word") == ["228"]
    finally:
        assert run(copier("drop", other.url, name)).returncode == 0
        server.admin("DROP DATABASE shop_latin")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("ALTER TABLE app.orders ADD COLUMN at timestamptz", "table app.orders"),
        ("ALTER TABLE app.orders ALTER COLUMN kind SET DEFAULT 'coffee'", "table app.orders"),
        ("ALTER TABLE app.orders ADD CHECK (id > 0)", "table app.orders"),
        ("CREATE INDEX other ON app.orders (item)", "index app.other"),
        ("ALTER TYPE app.kind ADD VALUE 'water'", "type app.kind"),
        ("CREATE OR REPLACE VIEW app.kinds AS SELECT kind FROM app.orders", "view app.kinds"),
        (
            "CREATE OR REPLACE FUNCTION app.twice(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
            "function app.twice(a integer)",
        ),
        ("CREATE SCHEMA later", "schema later"),
        ("CREATE DOMAIN app.small AS int CHECK (VALUE < 10)", "type app.small"),
    ],
)
def test_a_change_of_its_schema_is_seen_and_of_rows_is_not(
    server: Postgres, change: str, name: str
) -> None:
    assert make(server).returncode == 0
    url = copy_of(server.url, SUFFIX)
    before = schema(url)
    asked(server, "DELETE FROM orders WHERE id > 10")
    assert schema(url) == before
    asked(server, change)
    after = schema(url)
    assert {key for key in {*before, *after} if before.get(key) != after.get(key)} == {name}


def test_without_its_programs_it_says_which_is_missing(server: Postgres) -> None:
    done = subprocess.run(
        [sys.executable, *copier("make", server.url, NAME, server.url)[1:]],
        env={"PATH": "/nowhere"}, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (127, "psql: not found\n")
