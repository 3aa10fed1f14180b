"""Backups of a PostgreSQL database, by the real programs and from a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.postgres import PASSWORD, Postgres, postgres
from tests.operations.asking import ask
from tests.operations.data import OPTIONS, back_up, backups, listed
from tests.operations.killing import APP
from tests.operations.migrations import last
from tests.stack import Stack


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture
async def shop(empty: Stack, server: Postgres) -> Stack:
    """The sample app, whose file names the server's database and its password's file."""
    server.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    server.sql("CREATE TABLE orders (id serial PRIMARY KEY, item text)")
    server.sql("INSERT INTO orders (item) SELECT 'tea' FROM generate_series(1, 1000)")
    empty.write_app(**OPTIONS)
    await empty.serve()
    await empty.deploy("v1")
    write_app(empty, server.url)
    assert (await empty.cli("reload")).status == 0
    return empty


def write_app(stack: Stack, url: str, extra: str = "", env: str = "") -> None:
    secret = stack.root / "password"
    secret.write_text(PASSWORD)
    file: Path = stack.write_app(extra=f'[backup]\npostgres = ["{url}"]\n{extra}', **OPTIONS)
    text = file.read_text()
    variables = f'[env]\nPGPASSWORD = {{ file = "{secret}" }}\n{env}'
    file.write_text(text.replace("[env]\n", variables))


async def test_a_database_is_dumped_while_it_serves_and_brought_back(
    shop: Stack, server: Postgres
) -> None:
    number = await back_up(shop)
    dump = backups(shop) / str(number) / "postgres/1.dump"
    assert dump.read_bytes()[:5] == b"PGDMP"
    assert (await shop.cli("backup", "verify", str(number))).status == 0
    (made,) = await listed(shop)
    assert made["postgres"] == {server.url: {"public.orders": 1000}}
    server.sql("DELETE FROM orders WHERE id > 10; UPDATE orders SET item = 'coffee'")
    assert (await shop.cli("stop")).status == 0
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert f"{server.url}: replaced as a whole\n" in answer.out
    assert "    public.orders: 10 rows now, 1,000 rows then\n" in answer.out
    assert server.sql("SELECT count(*), max(item) FROM orders") == ["1000|tea"]
    newest, _ = await listed(shop)
    answer = await shop.cli("backup", "restore", str(newest["id"]), "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert server.sql("SELECT count(*), max(item) FROM orders") == ["10|coffee"]


# What a migration may have made: of each kind, in both schemas, and in the way of what is dropped.
ADDED = """
    CREATE TABLE audit (id int PRIMARY KEY, of_order int REFERENCES orders);
    CREATE VIEW items AS SELECT DISTINCT item FROM orders;
    CREATE MATERIALIZED VIEW many AS SELECT count(*) FROM orders;
    CREATE TYPE mood AS ENUM ('well', 'ill');
    CREATE TYPE pair AS (a int, b mood);
    CREATE DOMAIN small AS int CHECK (VALUE < 10);
    CREATE FUNCTION twice(a int) RETURNS int LANGUAGE sql AS 'SELECT a * 2';
    CREATE FUNCTION grow(a mood) RETURNS mood LANGUAGE sql AS 'SELECT a';
    CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
    CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
    CREATE STATISTICS linked ON id, item FROM orders;
    CREATE SEQUENCE numbers;
    CREATE COLLATION german (provider = icu, locale = 'de');
    CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
    CREATE SCHEMA "odd one";
    CREATE TABLE "odd one".t (m mood, s small);
    CREATE EXTENSION pg_trgm;
    CREATE INDEX ON orders USING gin (item gin_trgm_ops);
    ALTER TABLE orders ADD COLUMN how mood;
    CREATE PUBLICATION changes FOR TABLE orders;
    SELECT lo_from_bytea(0, 'abc');
"""
HELD = """
    SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname IN ('public', 'odd one')
    UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT oprname FROM pg_operator WHERE oprnamespace = 'public'::regnamespace
    UNION ALL SELECT collname FROM pg_collation WHERE collnamespace = 'public'::regnamespace
    UNION ALL SELECT cfgname FROM pg_ts_config WHERE cfgnamespace = 'public'::regnamespace
    UNION ALL SELECT stxname FROM pg_statistic_ext
    UNION ALL SELECT extname FROM pg_extension
    UNION ALL SELECT pubname FROM pg_publication
    UNION ALL SELECT nspname FROM pg_namespace
    UNION ALL SELECT 'large ' || oid FROM pg_largeobject_metadata
    ORDER BY 1
"""


async def test_a_restore_takes_away_what_a_migration_has_added(
    shop: Stack, server: Postgres
) -> None:
    before = server.sql(HELD)
    number = await back_up(shop)
    server.sql(ADDED)
    after = server.sql(HELD)
    assert set(before) < set(after)
    assert (await shop.cli("stop")).status == 0
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert server.sql(HELD) == before
    newest, _ = await listed(shop)
    answer = await shop.cli("backup", "restore", str(newest["id"]), "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert server.sql(HELD) == after
    server.sql("INSERT INTO audit VALUES (1, 1000)")
    answer = await shop.cli("backup", "restore", str(newest["id"]), "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert server.sql("SELECT count(*) FROM audit") == ["0"]
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert server.sql(HELD) == before


async def test_a_restore_that_the_server_refuses_changes_nothing(
    shop: Stack, server: Postgres
) -> None:
    server.sql("CREATE SCHEMA other")
    number = await back_up(shop)
    server.sql("CREATE VIEW items AS SELECT DISTINCT item FROM orders; DELETE FROM orders")
    server.sql("REVOKE CREATE ON DATABASE shop FROM shop")
    assert (await shop.cli("stop")).status == 0
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 1
    assert "postgres-1 (pg_restore) failed: exit status 3" in answer.err
    assert "permission denied for database shop" in answer.err
    assert server.sql("SELECT count(*) FROM orders") == ["0"]
    assert server.sql("SELECT count(*) FROM items") == ["0"]
    server.sql("GRANT CREATE ON DATABASE shop TO shop; DROP SCHEMA other")
    # What the backup does not know goes, and keeps nothing from being restored.
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert server.sql("SELECT count(*) FROM orders") == ["1000"]
    assert server.sql("SELECT to_regclass('items') IS NULL") == ["t"]


async def test_a_server_that_does_not_answer_fails_the_backup(
    shop: Stack, server: Postgres
) -> None:
    write_app(shop, "postgresql://shop@/shop?host=/nowhere")
    assert (await shop.cli("reload")).status == 0
    answer = await shop.cli("backup", "create")
    assert answer.status == 1
    assert "postgres-1 (pg_dump) failed: exit status 1" in answer.err
    assert "/nowhere" in answer.err
    assert not list(backups(shop).iterdir())


async def test_what_would_fail_the_backup_is_found_before_anything_is_touched(
    shop: Stack, server: Postgres
) -> None:
    """Of what a person installs, which runs only once requests wait."""
    programs = shop.root / "bin"
    programs.mkdir()
    for name in ("psql", "nice"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    (programs / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
    (programs / "pg_dump").chmod(0o755)
    extra = (
        "command = 'frobnicate --all'\nrestore_command = 'if true'\n"
        f'[[gate.unchanged]]\npostgres = "{server.url}"\nquery = "SELECT 1 FROM nowhere"\n'
        '[[gate.unchanged]]\nsqlite = "data/nowhere.db"\nquery = "SELECT 1"\n'
    )
    write_app(shop, server.url, extra, f'PATH = "{programs}:/nowhere"\n')
    assert (await shop.cli("reload")).status == 0
    checked, planned, deployed = [
        await shop.cli(*words) for words in (("check",), ("plan", "v2"), ("deploy", "v2"))
    ]
    needs = "postgres of [backup] needs pg_restore, not on the PATH"
    assert (checked.status, planned.status, deployed.status) == (0, 1, 1)
    assert f"{needs} {programs}:/nowhere" in checked.out
    for said in (
        needs,
        f"the server of {server.url} is of PostgreSQL ",
        "and pg_dump is of 9, which refuses one that is newer",
        "command of [backup] needs frobnicate, and there is no such command",
        "restore_command of [backup] is no command of a shell",
        "what is to stay unchanged cannot be asked",
        f"SELECT 1 FROM nowhere of {server.url}: exit status 1",
        "SELECT 1 of data/nowhere.db: ",
    ):
        assert said in planned.out, planned.out
        assert said in deployed.err, deployed.err
    assert "5 things keep v2 from being released" in deployed.err
    write_app(shop, "postgresql://shop@/shop?host=/nowhere")
    assert (await shop.cli("reload")).status == 0
    answer = await shop.cli("deploy", "v2")
    assert "the server of postgresql://shop@/shop?host=/nowhere does not answer" in answer.err
    assert [one["phase"] for one in (await last(shop))["phases"]] == ["preflight"]
    write_app(shop, server.url)
    assert (await shop.cli("reload")).status == 0
    await shop.deploy("v2")
    assert (await listed(shop))[0]["postgres"] == {server.url: {"public.orders": 1000}}


async def test_a_backup_of_other_databases_than_the_file_names_is_not_restored(
    shop: Stack, server: Postgres
) -> None:
    number = await back_up(shop)
    write_app(shop, server.url.replace("/shop", "/other"))
    assert (await shop.cli("reload")).status == 0
    assert (await shop.cli("stop")).status == 0
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 1
    assert "is of other PostgreSQL databases than the app file names" in answer.err


async def test_the_password_is_nowhere(shop: Stack) -> None:
    await back_up(shop)
    held = [path for path in shop.layout.state.rglob("*") if path.is_file()]
    held += [path for path in shop.layout.logs.rglob("*") if path.is_file()]
    found = [path for path in held if PASSWORD.encode() in path.read_bytes()]
    assert found == []


async def test_rows_are_counted_as_they_are_in_the_dump_and_in_the_database(
    shop: Stack, server: Postgres
) -> None:
    # Names and texts that look like what a script is made of; a parent has only rows of its own.
    server.sql(
        'CREATE SCHEMA "odd one"; CREATE TABLE "odd one"."a (b) FROM stdin;" (text text);'
        r"""INSERT INTO "odd one"."a (b) FROM stdin;" VALUES ('\.'), (E'x\n\\.\ny'), ('COPY a.b')"""
    )
    server.sql("CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent)")
    server.sql("INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2), (3)")
    number = await back_up(shop)
    rows = {
        '"odd one"."a (b) FROM stdin;"': 3,
        "public.child": 2, "public.orders": 1000, "public.parent": 1,
    }  # fmt: skip
    assert (await listed(shop))[0]["postgres"] == {server.url: rows}
    assert (await shop.cli("stop")).status == 0
    status, loss = await ask(shop, "GET", f"{APP}/backups/{number}/loss")
    assert status == 200
    assert loss["postgres"] == {server.url: {"rows": rows, "problem": None, "then": rows}}
    # A server that is away is one reason to restore: what there was then is known all the same.
    (shop.root / "password").write_text("no longer right")
    status, loss = await ask(shop, "GET", f"{APP}/backups/{number}/loss")
    assert status == 200
    (found,) = loss["postgres"].values()
    assert (found["rows"], found["then"]) == ({}, rows)
    assert "password authentication failed" in found["problem"]
    assert not list(shop.layout.app("monitor").work.iterdir())
    server.sql('DROP SCHEMA "odd one" CASCADE')
