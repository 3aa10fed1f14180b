"""Migrations on a host, where releases and data are of a user that is not the daemon's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.data.postgres import PROGRAMS
from tests.host import lab
from tests.host.program import PROGRAM
from tests.operations.migrations import BACKUP, SCENARIO
from tests.production.agreement import agreement
from tests.production.production import APP, Production

pytestmark = pytest.mark.asyncio(loop_scope="module")

BASE = f"/var/lib/bluegreen/apps/{APP}"
_COMMAND = f"{PROGRAM}/bin/python -m monitor.migrations"
WITH_COMMANDS = f"""
[migrations]
check = "{_COMMAND} check"
run = "{_COMMAND} run"
rollback = "{_COMMAND} rollback {{name}}"
"""
AT_START = "[migrations]\n"
# Whatever it takes on a busy machine: visitors wait as long as that.
HELD = WITH_COMMANDS.replace("[migrations]\n", '[migrations]\nmode = "hold"\n')
HELD += '[hold]\nlimit = "3m"\n'
OPTIONS: dict[str, Any] = {"services": ("web", "api"), "watch": "0s", "healthy_for": "0.1s"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(program: Any) -> AsyncIterator[Production]:
    """v2 serves."""
    async with lab.host(over=program) as built:
        made = Production(built)
        await made.set_up(extra=BACKUP + WITH_COMMANDS + SCENARIO, **OPTIONS)
        await made.deploy("v2")
        yield made


async def schema(production: Production) -> str:
    said = await production.host.run("sqlite3", f"{BASE}/shared/data/servers.db", ".schema")
    return said.output


async def jobs(production: Production) -> str:
    """Units of jobs that run, or have failed."""
    said = await production.host.run(
        "systemctl", "list-units", "--no-legend", "--plain", f"bluegreen-{APP}-job@*"
    )
    return said.output.strip()


async def refused(production: Production, version: str) -> str:
    """What is said of a deploy that its rehearsal refuses: v2 serves on the data as they were."""
    before = await schema(production)
    said = await production.deploy(version, check=False)
    assert said.status == 1, said
    assert await production.served() == "v2"
    assert await schema(production) == before
    assert await jobs(production) == ""
    found = await production.host.run("find", BASE, "-name", ".bluegreen-rehearsal")
    assert found.output == ""
    return said.output


async def test_a_plan_asks_for_them_on_a_copy(host: Production) -> None:
    before = await schema(host)
    planned = await host.document("plan", APP, "v4-rename")
    assert planned["migrations"]["names"] == ["0006_rename"], planned
    assert planned["migrations"]["says"].startswith("asked on a copy of the data")
    built = await host.document("plan", APP, "v4-rename", "--build")
    assert built["migrations"] == {
        "names": ["0006_rename"], "says": "asked on a copy of the data, in a build of it",
    }, built  # fmt: skip
    assert built["findings"] == []
    assert await schema(host) == before
    assert await jobs(host) == ""
    assert (await host.host.run("ls", f"{BASE}/trees")).output.split() == ["1-blue", "1-blue.json"]


async def test_a_schema_that_the_old_version_cannot_live_with_is_refused(host: Production) -> None:
    said = await refused(host, "v4-rename")
    assert "the old version v2 does not live with the migrated schema" in said
    assert "api smoke servers: HTTP 500" in said


async def test_an_app_that_migrates_as_it_starts_is_rehearsed(host: Production) -> None:
    variables = {"MONITOR_MIGRATES_AT_START": "1"}
    host.write_app(extra=BACKUP + AT_START + SCENARIO, env=variables, **OPTIONS)
    await host.bluegreen("apply")
    said = await refused(host, "v4-syntax")
    assert "v4-syntax does not come up on a copy of the data: service api ended" in said
    assert 'near "TABEL": syntax error' in said
    await host.deploy("v4-audit")
    assert await host.served() == "v4-audit"
    assert "audit_logs" in await schema(host)
    assert await jobs(host) == ""


async def test_under_a_hold_visitors_wait_whatever_comes_of_it(host: Production) -> None:
    host.write_app(extra=BACKUP + HELD, **OPTIONS)
    await host.bluegreen("apply")
    async with host.load(websockets=0, timeout=200.0) as load:
        await load.ready()
        before = await schema(host)
        assert (await host.deploy("v4-unhealthy", check=False)).status == 1
        assert await host.served() == "v4-audit"
        assert await schema(host) == before
        await host.deploy("v4-rename")
        assert await host.served() == "v4-rename"
        assert "host TEXT" in await schema(host)
        # It is answered once traffic has moved, and goes on with what is left to be done.
        await host.bluegreen("switch", "back", APP)
        assert await host.served() == "v4-audit"
        await agreement(host)
        report = await load.stop()
    assert report.failed == 0
    assert await schema(host) == before
    assert await jobs(host) == ""


SERVER = "/srv/postgres"
_PSQL = 'psql "$SHOP" -XqAtc'
POSTGRES = f"""
[backup]
postgres = ["postgresql:///shop?host={SERVER}"]

[migrations]
check = '''{_PSQL} "SELECT '0001_how' WHERE to_regclass('how') IS NULL"'''
run = '''{_PSQL} "CREATE TABLE how (at text)"'''
"""


async def test_a_database_of_a_server_is_copied_by_the_apps_user(host: Production) -> None:
    run, programs = host.host.run, str(PROGRAMS[-1])
    await run("install", "--directory", "--owner=postgres", SERVER)
    as_postgres = ("runuser", "-u", "postgres", "--")
    await run(*as_postgres, f"{programs}/initdb", "--auth=peer", "--no-sync", f"{SERVER}/data")
    options = f"-k {SERVER} -c listen_addresses= -c fsync=off"
    await run(
        *("systemd-run", "--uid=postgres", "--property=Type=notify", "--unit=shop-db.service"),
        *(f"{programs}/postgres", "-D", f"{SERVER}/data", *options.split()),
    )
    for sql in (f"CREATE ROLE {APP} LOGIN CREATEDB", f"CREATE DATABASE shop OWNER {APP}"):
        await run(*as_postgres, "psql", f"--host={SERVER}", f"--command={sql}")
    variables = {"SHOP": f"postgresql:///shop{{copy}}?host={SERVER}"}
    host.write_app(extra=POSTGRES, env=variables, **OPTIONS)
    await host.bluegreen("apply")
    planned = await host.document("plan", APP, "v2", "--build")
    assert planned["migrations"]["names"] == ["0001_how"], planned
    said = await host.deploy("v2")
    assert "copied for the rehearsal, as shop_copy_" in said.output
    asked = await run(
        *as_postgres, "psql", f"--host={SERVER}", "-XqAtc",
        "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database",
    )  # fmt: skip
    assert asked.output.split() == ["postgres", "shop", "template0", "template1"]
    assert await jobs(host) == ""
