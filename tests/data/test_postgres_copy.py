"""A copy of a PostgreSQL database on its own server: what there was at one instant, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import pytest

from bluegreen.config.postgres_address import LONGEST_NAME, copy_of
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


def run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
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


def await_activity(server: Postgres, which: str, *, there: bool = True) -> None:
    """Until there is a session of that kind, or none."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND {which}"
    admin = ["psql", "-XAtq", f"--host={server.directory}", "--username=postgres", "--dbname=shop"]
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        said = subprocess.run(
            [*admin, f"--command={query}"],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=True,
        ).stdout
        if (int(said) > 0) is there:
            return
        time.sleep(0.05)
    raise AssertionError(f"{which}: {'none' if there else 'still'} after {LIMIT:.0f} s")


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
        await_activity(server, f"datname = '{NAME}'")
        assert make(server).returncode == 0
        assert asked(server, "SELECT to_regclass('of_before') IS NULL") == ["t"]
    finally:
        stranger.kill()
        stranger.communicate(timeout=LIMIT)


def test_workers_of_the_server_in_it_do_not_keep_it(server: Postgres) -> None:
    """Only an administrator may send them away, but DROP DATABASE does so too."""
    slow = {"naptime": "1s", "vacuum_cost_delay": "100ms", "vacuum_cost_limit": "1"}
    for key, value in slow.items():
        server.admin(f"ALTER SYSTEM SET autovacuum_{key} = '{value}'")
    try:
        server.admin("SELECT pg_reload_conf()")
        assert make(server).returncode == 0
        asked(server, "CREATE TABLE big AS SELECT repeat('x', 500) FROM generate_series(1, 50000)")
        asked(server, "DELETE FROM big")
        working = f"datname = '{NAME}' AND backend_type = 'autovacuum worker'"
        await_activity(server, working)
        done = run(copier("drop", server.url, NAME))
        assert done.returncode == 0, done.stderr
        assert databases(server) == ["shop"]
    finally:
        server.admin("ALTER SYSTEM RESET ALL")
        server.admin("SELECT pg_reload_conf()")


def test_it_is_gone_also_where_the_server_still_makes_it_for_a_killed_client(
    server: Postgres,
) -> None:
    words = ["psql", "--no-psqlrc", f"--host={server.directory}", "--username=postgres"]
    # Which CREATE DATABASE waits for, as it copies that.
    guest = subprocess.Popen(
        [*words, "--dbname=template1", "--command=SELECT pg_sleep(60)"], stdout=subprocess.DEVNULL
    )
    try:
        await_activity(server, "datname = 'template1'")
        making = subprocess.Popen(
            copier("make", server.url, NAME, copy_of(server.url, SUFFIX)),
            env={**os.environ, "PGPASSWORD": PASSWORD}, start_new_session=True,
        )  # fmt: skip
        created = "query LIKE 'CREATE DATABASE%' AND state = 'active'"
        await_activity(server, created)
        os.killpg(making.pid, signal.SIGKILL)
        making.wait(LIMIT)
        server.admin(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'template1'"
        )
        assert run(copier("drop", server.url, NAME)).returncode == 0
        await_activity(server, created, there=False)
        assert databases(server) == ["shop"]
    finally:
        guest.kill()
        guest.wait(LIMIT)


def test_an_address_that_leads_to_the_original_all_the_same_does_it_no_harm(
    server: Postgres,
) -> None:
    """As that of a pooler, which knows one database under each name."""
    done = run(copier("make", server.url, NAME, server.url))
    assert done.returncode != 0
    assert f"whoever asks for the database {NAME} gets shop" in done.stderr
    assert server.sql("SELECT count(*) FROM app.orders") == ["1000"]


def test_what_is_not_called_as_copies_are_is_neither_made_nor_dropped(server: Postgres) -> None:
    long = "s" * LONGEST_NAME + SUFFIX  # which the server takes for that without the suffix
    other = "other" + SUFFIX[:-1]
    for name in ("shop", "", other, long):
        for words in (("drop", server.url, name), ("make", server.url, name, server.url)):
            done = run(copier(*words))
            assert (done.returncode, done.stderr) == (1, f"{name}: not the name of a copy\n")
    assert databases(server) == ["shop"]


def test_what_an_administrator_publishes_is_not_published_by_it(server: Postgres) -> None:
    server.admin("CREATE PUBLICATION everything FOR ALL TABLES")
    try:
        done = make(server)
        assert done.returncode == 0, done.stderr
        assert asked(server, "SELECT count(*) FROM pg_publication") == ["0"]
    finally:
        server.admin("DROP PUBLICATION everything")


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
