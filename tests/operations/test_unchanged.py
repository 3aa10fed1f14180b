"""What is to stay unchanged is asked before a release starts, and again after its gate."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.data.postgres import PASSWORD, Postgres, postgres
from tests.operations.asking import ask
from tests.operations.data import OPTIONS, add_servers, shared
from tests.stack import Stack
from tests.visits import served_version

DATABASE = """
[[gate.unchanged]]
sqlite = "data/servers.db"
query = "SELECT COUNT(*) FROM users"

[[gate.unchanged]]
name = "servers"
sqlite = "data/servers.db"
query = "SELECT COUNT(*) FROM servers"
allow = "more"
"""
# A scenario that does to the data what a release might do as it starts.
DOES = """
[[gate.smoke]]
service = "api"
name = "does"
command = {{ run = "sqlite3 {{shared_dir}}/data/servers.db '{}'" }}
"""


def write(stack: Stack, *sections: str) -> None:
    stack.write_app(extra="".join(sections), **OPTIONS)


async def take_up(stack: Stack, *sections: str) -> None:
    write(stack, *sections)
    await stack.reload()


async def phase_data(stack: Stack, number: int, phase: str) -> Any:
    _, operation = await ask(stack, "GET", f"/v1/operations/{number}")
    (found,) = [one["data"] for one in operation["phases"] if one["phase"] == phase]
    return found


@pytest.fixture
async def shop(empty: Stack) -> Stack:
    """v1, whose first deploy had no data to ask."""
    write(empty, DATABASE)
    await empty.serve()
    answer = await empty.deploy("v1")
    assert "not compared: SELECT COUNT(*) FROM users of data/servers.db: " in answer.out
    return empty


async def test_the_same_is_let_through_and_kept_in_the_history(shop: Stack) -> None:
    add_servers(shop, "first")
    beside = sorted(path.name for path in (shared(shop) / "data").iterdir())
    answer = await shop.deploy("v2")
    assert "  SELECT COUNT(*) FROM users of data/servers.db: 1\n" in answer.out
    assert "  servers: 1\n" in answer.out
    label = "SELECT COUNT(*) FROM users of data/servers.db"
    assert (await phase_data(shop, 2, "measure"))["unchanged"] == [
        {"what": label, "before": "1"}, {"what": "servers", "before": "1"},
    ]  # fmt: skip
    assert (await phase_data(shop, 2, "gate"))["unchanged"] == [
        {"what": label, "before": "1", "after": "1"},
        {"what": "servers", "before": "1", "after": "1"},
    ]
    assert sorted(path.name for path in (shared(shop) / "data").iterdir()) == beside
    for command in (["restart"], ["rollback", "--to", "v1"]):
        answer = await shop.cli(*command)
        assert answer.status == 0, answer.err
        assert "servers: 1" in answer.out
    # A way back to what has served waits for no question.
    await take_up(shop, DATABASE.replace("users", "nobody"))
    assert (await shop.cli("switch", "back")).status == 0


async def test_a_difference_stops_a_release_before_it_gets_traffic(shop: Stack) -> None:
    await take_up(shop, DATABASE, DOES.format("DELETE FROM users"))
    answer = await shop.cli("deploy", "monitor", "v2")
    assert answer.status == 1
    assert "what is to stay unchanged has changed: SELECT COUNT(*) FROM users of data/servers" in (
        answer.err
    )
    assert "data/servers.db: 1 before, 0 now" in answer.err
    assert "Next: Nothing was switched. See what the release does" in answer.err
    assert await served_version(shop) == "v1"
    status = await shop.status()
    assert (status["slots"]["green"]["ready"], shop.marker()) == (False, "blue")


async def test_a_count_that_may_grow_may_not_shrink(shop: Stack) -> None:
    add_servers(shop, "first", "second")
    insert = "INSERT INTO servers (name, address, added_by_slot) SELECT name, 1, 2 FROM servers"
    await take_up(shop, DATABASE, DOES.format(insert))
    answer = await shop.deploy("v2")
    assert "  servers: 4, after 2\n" in answer.out
    await take_up(shop, DATABASE, DOES.format("DELETE FROM servers WHERE id = 1"))
    answer = await shop.cli("deploy", "monitor", "v1")
    assert answer.status == 1
    assert "has changed: servers: 4 before, 3 now" in answer.err


async def test_what_cannot_be_asked_stops_a_release_before_it_starts(shop: Stack) -> None:
    wrong = DATABASE.replace("COUNT(*) FROM servers", "name FROM servers")
    add_servers(shop, "first")
    missing = '[[gate.unchanged]]\nsqlite = "data/none.db"\nquery = "SELECT 1"\n'
    failing = '[[gate.unchanged]]\nname = "failing"\ncommand = "echo no >&2; exit 3"\n'
    await take_up(shop, wrong.replace("users", "nobody"), missing)
    answer = await shop.cli("deploy", "monitor", "v2")
    assert answer.status == 1
    assert " fetch …" not in answer.out  # databases are there before the release is
    assert "FROM nobody of data/servers.db: no such table: nobody" in answer.err
    assert "servers: with allow = \"more\" it has to answer one number, and answers 'first'" in (
        answer.err
    )
    assert "data/none.db: No such file or directory" in answer.err
    await take_up(shop, failing)
    answer = await shop.cli("deploy", "monitor", "v2")
    assert answer.status == 1
    assert " start …" not in answer.out
    assert "failing: exit status 3" in answer.err
    log = await shop.cli("logs", "monitor", "3", "--phase", "measure")
    assert "no" in [line.rpartition("| ")[2] for line in log.out.splitlines()]
    assert await served_version(shop) == "v1"


async def test_what_a_command_prints_is_compared(shop: Stack) -> None:
    listing = "ls {shared_dir}/uploads | sort; echo $GREETING; printf %s {slot_dir} | wc -c"
    command = f'[[gate.unchanged]]\nname = "files"\ncommand = "{listing}"\n'
    await take_up(shop, command)
    (shared(shop) / "uploads").mkdir()
    (shared(shop) / "uploads/a b").touch()
    answer = await shop.deploy("v2")
    assert "  files: a b " in answer.out
    makes = '[[gate.smoke]]\nservice = "api"\ncommand = { run = "touch {shared_dir}/uploads/c" }\n'
    await take_up(shop, command, makes)
    answer = await shop.cli("deploy", "monitor", "v1")
    assert answer.status == 1
    assert "has changed: files: a b " in answer.err
    assert "now" in answer.err


async def test_answers_that_differ_where_nobody_sees_it_differ(shop: Stack) -> None:
    (shared(shop) / "long").write_text("x" * 5000)
    command = '[[gate.unchanged]]\nname = "long"\ncommand = "cat {shared_dir}/long"\n'
    cuts = "truncate -s 4999 {shared_dir}/long"
    makes = f'[[gate.smoke]]\nservice = "api"\ncommand = {{ run = "{cuts}" }}\n'
    await take_up(shop, command, makes)
    answer = await shop.cli("deploy", "monitor", "v2")
    assert answer.status == 1
    assert "xx… now (they differ further on)" in answer.err


async def test_a_command_that_takes_too_long_is_killed_with_what_it_started(shop: Stack) -> None:
    command = '[[gate.unchanged]]\ntimeout = "200ms"\ncommand = "sleep 654 & sleep 654"\n'
    await take_up(shop, command)
    answer = await shop.cli("deploy", "monitor", "v2")
    assert answer.status == 1
    assert "command: no answer within 0.2 s" in answer.err


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


async def test_a_postgres_server_is_asked_without_leave_to_write(
    shop: Stack, server: Postgres
) -> None:
    server.sql("CREATE TABLE orders (id serial PRIMARY KEY, item text)")
    server.sql("INSERT INTO orders (item) VALUES ('tea'), ('coffee')")
    secret = shop.root / "password"
    secret.write_text(PASSWORD)

    async def serve_with(query: str, *sections: str) -> None:
        one = f'[[gate.unchanged]]\npostgres = "{server.url}"\nquery = "{query}"\n'
        file = shop.write_app(extra=one + "".join(sections), **OPTIONS)
        text = file.read_text()
        file.write_text(text.replace("[env]\n", f'[env]\nPGPASSWORD = {{ file = "{secret}" }}\n'))
        await shop.reload()

    await serve_with("SELECT count(*) FROM orders")
    answer = await shop.deploy("v2")
    assert f"SELECT count(*) FROM orders of {server.url}: 2" in answer.out
    await serve_with("DELETE FROM orders RETURNING id")
    answer = await shop.cli("deploy", "monitor", "v1")
    assert answer.status == 1
    assert "exit status 1" in answer.err
    assert server.sql("SELECT count(*) FROM orders") == ["2"]
    log = await shop.cli("logs", "monitor", "3", "--phase", "preflight")
    assert "cannot execute DELETE in a read-only transaction" in log.out
    psql = f"psql --quiet --dbname={server.url} --command='DELETE FROM orders'"
    deletes = f'[[gate.smoke]]\nservice = "api"\ncommand = {{ run = "{psql}" }}\n'
    await serve_with("SELECT count(*) FROM orders", deletes)
    answer = await shop.cli("deploy", "monitor", "v1")
    assert answer.status == 1
    assert f"of {server.url}: 2 before, 0 now" in answer.err
    held = [path for path in shop.layout.logs.rglob("*") if path.is_file()]
    assert not [path for path in held if PASSWORD.encode() in path.read_bytes()]


async def test_a_database_in_use_is_asked_beside_its_writer(shop: Stack) -> None:
    with closing(sqlite3.connect(shared(shop) / "data/servers.db", isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        held.execute("DELETE FROM users")  # not committed: so nobody sees it
        answer = await shop.cli("deploy", "monitor", "v2")
        held.execute("ROLLBACK")
    assert answer.status == 0, answer.err
