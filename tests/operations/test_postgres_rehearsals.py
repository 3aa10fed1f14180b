"""Migrations of a PostgreSQL database, rehearsed and asked for on a copy on its own server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.data.postgres import PASSWORD, Postgres, postgres
from tests.operations.agreement import agreement
from tests.operations.asking import history_of
from tests.operations.data import OPTIONS
from tests.operations.killing import APP, kill_at, points
from tests.operations.migrations import last, phase, rehearsals
from tests.stack import Stack
from tests.waiting import eventually

PSQL = 'psql "$DATABASE_URL" -XqAt -v ON_ERROR_STOP=1 -c'
COLUMN = "FROM information_schema.columns WHERE table_name = 'orders' AND column_name = 'how'"
CHECK = f"""{PSQL} "SELECT '0001_how' WHERE NOT EXISTS (SELECT {COLUMN})" """
ADDS = "ALTER TABLE orders ADD COLUMN how text"
RENAMES = f"{ADDS}; ALTER TABLE orders RENAME COLUMN item TO what"
# What the version that serves does with its database.
SCENARIO = f"""
[[gate.smoke]]
name = "items"
service = "api"
command = {{ run = '''sh -c "exec {PSQL.replace('"', "")} 'SELECT max(item) FROM orders'"''' }}
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def server(running: Postgres) -> Postgres:
    running.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    running.sql("CREATE TABLE orders (id serial PRIMARY KEY, item text)")
    running.sql("INSERT INTO orders (item) SELECT 'tea' FROM generate_series(1, 1000)")
    running.admin("ALTER ROLE shop CREATEDB")
    return running


@pytest.fixture
async def shop(empty: Stack, server: Postgres) -> Stack:
    """v1 of the sample app serves, whose app file has a database beside it."""
    write_app(empty, server)
    server.sql(ADDS)  # so that v1 has nothing to migrate
    await empty.serve()
    await empty.deploy("v1")
    server.sql("ALTER TABLE orders DROP COLUMN how")
    return empty


def write_app(
    stack: Stack,
    server: Postgres,
    run: str = ADDS,
    *,
    mode: str = "online",
    scenario: str = "",
    script: str | None = None,
    backup: str = "",
    migrations: str = "",
) -> None:
    """``run`` is SQL, and ``script`` of a shell in its place."""
    secret = stack.root / "password"
    secret.write_text(PASSWORD)
    extra = f"""
[backup]
postgres = ["{server.url}"]
{backup}
[migrations]
mode = "{mode}"
timeout = "60s"
check = '''{CHECK}'''
run = '''{script or f'{PSQL} "SELECT current_database(); {run}"'}'''
rollback = '''{PSQL} "ALTER TABLE orders DROP COLUMN how" # {{name}}'''
{migrations}
{scenario}
[[gate.unchanged]]
postgres = "{server.url}"
query = "SELECT count(*) FROM orders"
"""
    url = server.url.replace("@/shop", "@/shop{copy}")
    file = stack.write_app(extra=extra, env={"DATABASE_URL": url}, **OPTIONS)
    file.write_text(
        file.read_text().replace("[env]\n", f'[env]\nPGPASSWORD = {{ file = "{secret}" }}\n')
    )


async def rewrite(stack: Stack, server: Postgres, *run: str, **options: Any) -> None:
    write_app(stack, server, *run, **options)
    answer = await stack.cli("reload")
    assert answer.status == 0, answer.err


def is_untouched(server: Postgres) -> bool:
    """The data are as they were, and no copy is left."""
    columns = server.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'orders' ORDER BY 1"
    )
    rows = server.sql("SELECT count(*), min(item) FROM orders")
    return (columns, rows, copies(server)) == (["id", "item"], ["1000|tea"], [])


def copies(server: Postgres) -> list[str]:
    return server.sql("SELECT datname FROM pg_database WHERE datname ~ '^shop.'")


async def refused(stack: Stack, server: Postgres) -> str:
    """What a deploy says that fails in its rehearsal."""
    answer = await stack.cli("deploy", "v2")
    assert answer.status == 1, answer.out
    assert [one["phase"] for one in (await last(stack))["phases"]][-1] == "rehearse"
    assert not rehearsals(stack)
    assert (await stack.status())["slots"]["blue"]["version"] == "v1"
    return answer.out + answer.err


async def test_a_plan_and_a_deploy_ask_and_migrate_a_copy_first(
    shop: Stack, server: Postgres
) -> None:
    await rewrite(shop, server, scenario=SCENARIO)
    planned = await shop.cli("plan", "v2", "--build")
    assert planned.status == 0, planned.out + planned.err
    assert "pending migrations: 0001_how (asked on a copy of the data, in a build" in planned.out
    assert is_untouched(server)
    planned = await shop.cli("plan", "v2")
    assert "pending migrations: 0001_how (asked on a copy of the data, before a b" in planned.out
    assert is_untouched(server)

    answer = await shop.cli("deploy", "v2")
    assert answer.status == 0, answer.out + answer.err
    assert f"{server.url}: copied for the rehearsal, as shop_copy_" in answer.out
    assert f"s: {server.url}: table public.orders changed" in answer.out
    assert "v1 lives with the migrated schema" in answer.out
    operation = await last(shop)
    rehearsed = phase(operation, "rehearse")["data"]
    assert rehearsed["pending"] == ["0001_how"]
    assert rehearsed["changes"] == [f"{server.url}: table public.orders changed"]
    logs = shop.layout.app("monitor").operation_logs(operation["id"])
    assert (logs / "rehearse-run.log").read_text().startswith("shop_copy_")
    assert (logs / "migrate-run.log").read_text() == "shop\n"
    assert copies(server) == []
    assert server.sql("SELECT count(how), count(*) FROM orders") == ["0|1000"]


async def test_a_rollback_is_rehearsed_on_a_copy_too(shop: Stack, server: Postgres) -> None:
    assert (await shop.cli("deploy", "v2")).status == 0
    answer = await shop.cli("rollback", "--to", "v1", "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert f"rehearsed: {server.url}: table public.orders changed" in answer.out
    assert is_untouched(server)


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ("ALTER TABLE orders ADD COLUM how text", 'syntax error at or near "text"'),
        (RENAMES, "the old version v1 does not live with the migrated schema"),
        (f"{ADDS}; DELETE FROM orders WHERE id > 10", "what is to stay unchanged has changed"),
        ("SELECT 1", "check still calls migrations pending in the rehearsal"),
    ],
    ids=["syntax", "renamed", "rows", "nothing"],
)
async def test_what_is_wrong_with_a_migration_is_found_with_the_data_untouched(
    shop: Stack, server: Postgres, run: str, says: str
) -> None:
    await rewrite(shop, server, run, scenario=SCENARIO)
    assert says in await refused(shop, server)
    assert is_untouched(server)


async def test_under_a_hold_the_old_version_need_not_live_with_it(
    shop: Stack, server: Postgres
) -> None:
    await rewrite(shop, server, RENAMES, mode="hold", scenario=SCENARIO.replace("item", "what"))
    answer = await shop.cli("deploy", "v2")
    assert answer.status == 0, answer.out + answer.err
    assert "rehearsed in " in answer.out
    assert server.sql("SELECT count(what) FROM orders") == ["1000"]
    assert copies(server) == []


async def test_what_names_the_real_database_is_refused_or_found_out(
    shop: Stack, server: Postgres
) -> None:
    named = f"psql '{server.url}' -Xqc '{ADDS}'"
    await rewrite(shop, server, script=named)
    assert "run in [migrations] names the database shop" in await refused(shop, server)
    assert is_untouched(server)
    hidden = f"psql -h {server.directory} -U shop -d shop -Xqc '{ADDS}'"
    await rewrite(shop, server, script=hidden)
    said = await refused(shop, server)
    assert "while the migrations were rehearsed, the real data changed" in said
    assert f"{server.url}: table public.orders changed" in said
    assert "check still calls migrations pending in the rehearsal" in said
    assert copies(server) == []


async def test_a_copy_that_its_server_does_not_drop_the_next_deploy_does(
    shop: Stack, server: Postgres
) -> None:
    admin = f"psql -h {server.directory} -U postgres -d postgres -Xqc"
    await rewrite(shop, server, script=f"{admin} 'ALTER ROLE shop NOLOGIN'; echo oh no; exit 3")
    said = await refused(shop, server)
    server.admin("ALTER ROLE shop LOGIN")
    (left,) = copies(server)
    assert "failed: exit status 3 in the rehearsal" in said  # and not what came of it
    assert "oh no" in said
    assert "postgres-1 (dropping its copy) failed" in said
    assert f"""psql "{server.url}" -c 'DROP DATABASE IF EXISTS "{left}"'""" in said

    await rewrite(shop, server)
    file = shop.layout.app_files / "monitor.toml"  # which has another address meanwhile
    file.write_text(file.read_text().replace(server.url, f"{server.url}&connect_timeout=9"))
    assert (await shop.cli("reload")).status == 0
    answer = await shop.cli("deploy", "v2")
    assert answer.status == 0, answer.out + answer.err
    assert copies(server) == []
    assert not list(shop.layout.app("monitor").copies.iterdir())


async def test_cancelled_in_a_rehearsal_no_copy_is_left(shop: Stack, server: Postgres) -> None:
    begun = shop.root / "begun"
    await rewrite(shop, server, script=f"touch {begun}; sleep 60")
    deploying = await shop.start_cli("deploy", "v2")
    await eventually(begun.exists, "the migrations are rehearsed")
    assert len(copies(server)) == 1
    answer = await shop.cli("cancel")
    assert answer.status == 0, answer.out + answer.err
    await deploying.wait()
    assert (await last(shop))["state"] == "cancelled"
    assert is_untouched(server)


async def test_what_a_copy_needs_is_found_before_anything_is_touched(
    shop: Stack, server: Postgres
) -> None:
    server.admin("ALTER ROLE shop NOCREATEDB")
    planned, deployed = await shop.cli("plan", "v2"), await shop.cli("deploy", "v2")
    for said in (planned.out, deployed.err):
        assert f"the role shop of {server.url} may not create the database" in said
        assert 'ALTER ROLE "shop" CREATEDB' in said
        assert "rehearse = false" in said
    assert [one["phase"] for one in (await last(shop))["phases"]] == ["preflight"]
    assert is_untouched(server)


_JOB = "after rename run/bluegreen/processes/job-monitor-"
KILLS = points(
    f"{_JOB}*-postgres-1*",
    f"{_JOB}*-rehearse-run*",
    f"{_JOB}end-rehearsal-*",
    "before rehearse done",
    built=True,
    moved=False,
    ends="interrupted",
)


async def test_killed_in_a_rehearsal_no_copy_is_left(shop: Stack, server: Postgres) -> None:
    for point in KILLS:
        await kill_at(shop, point, f"{APP}/deployments", {"version": "v2"})
        await shop.serve()
        await agreement(shop)
        assert (await last(shop))["state"] == point.ends, point
        assert not rehearsals(shop), point
        assert is_untouched(server), point
    assert (await shop.cli("deploy", "v2")).status == 0
    assert copies(server) == []


async def test_killed_in_a_plan_the_next_daemon_removes_its_copy(
    shop: Stack, server: Postgres
) -> None:
    begun = shop.root / "begun"
    waits = f"check = '''touch {begun}; sleep 60'''"
    file = shop.layout.app_files / "monitor.toml"
    text = file.read_text()
    file.write_text(text.replace(f"check = '''{CHECK}'''", waits))
    assert (await shop.cli("reload")).status == 0
    planning = await shop.start_cli("plan", "v2")
    await eventually(begun.exists, "the plan asks")
    (copy,) = copies(server)
    assert copy.startswith("shop_copy_")
    await shop.kill()
    await planning.wait()
    file.write_text(text)
    await shop.serve()
    await eventually(lambda: not copies(server), "the copy is gone")
    assert is_untouched(server)
    assert "0001_how (asked on a copy" in (await shop.cli("plan", "v2")).out
    assert len(await history_of(shop)) == 1


async def test_what_a_command_backs_up_is_copied_by_a_command(
    shop: Stack, server: Postgres
) -> None:
    """A database that bluegreen knows nothing of: here a directory of files."""
    other = shop.root / "other"
    (other / "real").mkdir(parents=True)
    (other / "real/rows").write_text("one\ntwo\n")
    backup = f"""
command = "cat {other}/real/rows"
restore_command = "cat > {other}/real/rows"
copy_command = "mkdir {other}/real{{copy}} && cat > {other}/real{{copy}}/rows"
drop_command = "rm -rf {other}/real{{copy}}"
"""
    script = f'{PSQL} "{ADDS}" && ls {other} && echo three >> {other}/real{{copy}}/rows'
    await rewrite(shop, server, script=script, backup=backup)
    answer = await shop.cli("deploy", "v2")
    assert answer.status == 0, answer.out + answer.err
    assert "command: copied for the rehearsal by copy_command" in answer.out
    logs = shop.layout.app("monitor").operation_logs((await last(shop))["id"])
    listed = (logs / "rehearse-run.log").read_text().split()
    assert len(listed) == 2
    assert listed[1].startswith("real_copy_")
    assert (other / "real/rows").read_text() == "one\ntwo\nthree\n"
    assert [path.name for path in other.iterdir()] == ["real"]
    assert json.loads((await shop.cli("backup", "list", "--json")).out)

    fails = backup.replace("mkdir", "echo no $PGPASSWORD; false && mkdir")
    await rewrite(shop, server, script=script, backup=fails)
    answer = await shop.cli("deploy", "v2")
    assert answer.status == 1, answer.out
    assert "monitor: copy_command (sh) failed: exit status 1" in answer.err
    assert "  no ***" in answer.err
    assert "Next: correct copy_command in [backup]; or do without" in answer.err
    assert [path.name for path in other.iterdir()] == ["real"]
