"""Backups and restores on a host, where the data are a user's whom the daemon has no access to."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.host import lab
from tests.host.program import PROGRAM
from tests.production.asking import (
    APP_PATH,
    ask,
    begin_deploy,
    latest_operation,
    run_file,
    status_of,
)
from tests.production.production import APP, DAEMON, Production
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

BASE = f"/var/lib/bluegreen/apps/{APP}"
SHARED, BACKUPS = f"{BASE}/shared", f"{BASE}/backups"
DATABASE = f"{SHARED}/data/servers.db"
FILE = f"/etc/bluegreen/apps/{APP}.toml"
# Before its first instruction, or as it renames for the third time, a job that replaces is held.
DROP_IN = f"""\
[Service]
SystemCallFilter=
ExecStart=
ExecStart=/bin/sh -c 'case %i in *-replace-*) \
while [ -e /run/held ]; do sleep 0.02; done; \
[ ! -e /run/slow ] || set -- strace -f -o /dev/null -e trace=rename \
-e inject=rename:delay_enter=600000000:when=3;; esac; \
exec "$$@" {PROGRAM}/libexec/bluegreen-job /run/bluegreen/apps/{APP}/jobs/%i.json' sh
"""
SECTION = """
[backup]
sqlite = ["data/servers.db"]
files = ["uploads"]
command = "cat {shared_dir}/kv; while [ -e {shared_dir}/hold ]; do sleep 0.05; done"
restore_command = "cat > {shared_dir}/kv"
keep = 4
"""
_PYTHON = f"{PROGRAM}/bin/python -m monitor.migrations"
MIGRATIONS = f"""
[backup]
sqlite = ["data/servers.db"]
files = ["uploads"]

[migrations]
check = "{_PYTHON} check"
run = "id -un && {_PYTHON} run"
rollback = "{_PYTHON} rollback {{name}}"
mark_applied = "{_PYTHON} mark-applied {{name}}"
timeout = "30s"
"""
OPTIONS: dict[str, Any] = {"services": ("web", "api"), "watch": "0s", "healthy_for": "0.1s"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(program: Any) -> AsyncIterator[Production]:
    """v1 serves, with a server, an upload and what its command prints; one backup is made."""
    async with lab.host(over=program) as built:
        made = Production(built)
        await made.set_up(**OPTIONS)
        await made.deploy("v1")
        await write(made, "first")
        made.write_app(extra=SECTION, **OPTIONS)
        await made.bluegreen("apply")
        await back_up(made)
        yield made


async def as_app(production: Production, script: str) -> str:
    return (await production.host.run("sh", "-c", script, user=APP)).output.strip()


async def write(production: Production, text: str) -> None:
    """A server of that name, and that text in every file; as the app does it."""
    await as_app(
        production,
        f"mkdir -p {SHARED}/uploads/deep && echo {text} >{SHARED}/uploads/deep/a.txt && "
        f"echo {text} >{SHARED}/kv && chmod 640 {SHARED}/uploads/deep/a.txt && "
        f'sqlite3 {DATABASE} "INSERT INTO servers (name, address, added_by_slot) '
        f"VALUES ('{text}', 'x', 'blue')\"",
    )


async def data(production: Production) -> tuple[list[str], str, str]:
    """The servers, the upload, and what the command prints."""
    names = await as_app(production, f"sqlite3 {DATABASE} 'SELECT name FROM servers ORDER BY id'")
    return (
        names.splitlines(),
        await as_app(production, f"cat {SHARED}/uploads/deep/a.txt"),
        await as_app(production, f"cat {SHARED}/kv"),
    )


FIRST = (["first"], "first", "first")


async def back_up(production: Production) -> int:
    return int((await production.document("backup", "create", APP))["id"])


async def listed(production: Production) -> list[int]:
    """The numbers of the backups, each of which is good."""
    found = (await production.document("backup", "list", APP))["backups"]
    assert all(backup["good"] for backup in found), found
    return [backup["id"] for backup in found]


async def inside(production: Production) -> list[str]:
    return (await as_app(production, f"ls -A {BACKUPS}")).split()


async def leftovers(production: Production) -> str:
    """What work has left: beside the data, in the backups, in the run directory."""
    work = f"/run/bluegreen/apps/{APP}/work"
    jobs = f"/run/bluegreen/apps/{APP}/jobs"
    said = await production.host.run(
        "find", SHARED, BACKUPS, work, jobs, "-mindepth", "1", "(", "-path", f"{BACKUPS}/*/*", "-o",
        "-path", f"{SHARED}/*", "-not", "-name", ".*", ")", "-prune", "-false", "-o", "-name", ".*",
        "-print", "-o", "-path", f"{work}/*", "-print", "-o", "-path", f"{jobs}/*", "-print",
    )  # fmt: skip
    return said.output


async def rest(production: Production) -> Any:
    """The newest operation, when it has ended."""

    async def has_ended() -> bool:
        try:
            return (await status_of(production))["operation"] is None
        except OSError:
            return False

    await eventually(has_ended, "it has ended")
    return await latest_operation(production)


async def test_a_backup_is_the_apps_and_nobody_elses(host: Production) -> None:
    (number,) = await listed(host)
    whose = await host.host.run("stat", "-c", "%a %U:%G", BACKUPS, f"{BACKUPS}/{number}")
    assert whose.output.split("\n")[:2] == [f"700 {APP}:{APP}"] * 2
    for path in (BACKUPS, f"{BACKUPS}/{number}/manifest.json", f"{BACKUPS}/{number}/files.tar.gz"):
        said = await host.host.run("cat", path, user="bluegreen", check=False)
        assert "Permission denied" in said.output
    assert (await host.bluegreen("backup", "verify", APP)).output.split("\n")[0] == (
        f"backup {number} of {APP}: verified"
    )
    said = await host.bluegreen("backup", "list", APP)
    assert "1 row" in said.output or "rows in data/servers.db" in said.output
    assert await leftovers(host) == ""


async def test_a_restore_brings_the_data_back_as_the_apps_user(host: Production) -> None:
    await host.host.run("usermod", "--append", "--groups", "www-data", APP)
    await host.host.run("chgrp", "www-data", f"{SHARED}/uploads/deep/a.txt")
    number = await back_up(host)
    await write(host, "second")
    said = await host.bluegreen("backup", "restore", APP, str(number), "--yes", check=False)
    assert (said.status, "a restore would take its data from under it" in said.output) == (1, True)
    await host.bluegreen("stop", APP)
    said = await host.bluegreen("backup", "restore", APP, str(number), "--yes")
    assert "servers: 2 rows now, 1 row then" in said.output
    assert await data(host) == FIRST
    whose = await host.host.run("stat", "-c", "%a %U:%G", DATABASE, f"{SHARED}/uploads/deep/a.txt")
    assert whose.output.split("\n")[1] == f"640 {APP}:www-data"
    assert whose.output.split("\n")[0].endswith(f"{APP}:{APP}")
    assert await leftovers(host) == ""
    await host.bluegreen("start", APP)
    assert await host.served() == "v1"
    # And back: nothing was lost.
    await host.bluegreen("stop", APP)
    await host.bluegreen("backup", "restore", APP, "--yes")
    assert await data(host) == (["first", "second"], "second", "second")
    await host.bluegreen("backup", "restore", APP, str(number), "--yes")
    await host.bluegreen("start", APP)


async def test_a_damaged_backup_is_found(host: Production) -> None:
    number = await back_up(host)
    await as_app(host, f"echo >>{BACKUPS}/{number}/files.tar.gz")
    said = await host.bluegreen("backup", "verify", APP, str(number), check=False)
    assert said.status == 1
    assert f"{BACKUPS}/{number}/files.tar.gz is damaged" in said.output
    await as_app(host, f"rm -r {BACKUPS}/{number}")


async def test_without_its_directories_a_backup_is_refused_and_apply_makes_them(
    host: Production,
) -> None:
    work = f"/run/bluegreen/apps/{APP}/work"
    for directory, kept in ((BACKUPS, f"{BASE}/kept"), (work, f"{BASE}/kept-work")):
        await host.host.run("mv", directory, kept)
        said = await host.bluegreen("backup", "create", APP, check=False)
        assert said.status == 1
        assert directory in said.output
        assert "Next: let root make" in said.output
        assert "sudo bluegreen apply" in said.output
        said = await host.deploy("v1", check=False)  # it would begin with a backup
        assert said.status == 1
        assert "sudo bluegreen apply" in said.output
        await host.bluegreen("apply")
        await back_up(host)
        await host.host.run("rm", "-r", directory)
        await host.host.run("mv", kept, directory)
    assert await listed(host)


async def test_what_an_apps_user_says_of_its_backups_is_not_believed_blindly(
    host: Production,
) -> None:
    number = await back_up(host)
    manifest = f"{BACKUPS}/{number}/manifest.json"
    await as_app(host, f"rm {manifest} && ln -s /var/lib/bluegreen/bluegreen.db {manifest}")
    found = (await host.document("backup", "list", APP))["backups"]
    assert "Permission denied" in found[0]["problem"]
    await as_app(host, f"rm -r {BACKUPS}/{number}")


async def kill(production: Production) -> None:
    """SIGKILL to the daemon; systemd starts the next one by itself."""
    pid = await production.unit(DAEMON, "MainPID")
    await production.host.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", DAEMON)

    async def is_another() -> bool:
        return await production.unit(DAEMON, "MainPID") not in (pid, "0")

    await eventually(is_another, "another daemon runs")


async def test_a_daemon_that_is_killed_in_a_backup_leaves_nothing_of_it(host: Production) -> None:
    before = await listed(host)
    await as_app(host, f"touch {SHARED}/hold")
    status, document = await ask(host, "POST", f"{APP_PATH}/backups", {})
    assert status == 202
    draft = host.path(f"{BACKUPS}/.{document['id']}.draft/command.out")
    await eventually(draft.exists, "the command prints")
    await kill(host)
    operation = await rest(host)
    assert (operation["id"], operation["state"]) == (document["id"], "interrupted")
    await as_app(host, f"rm {SHARED}/hold")
    assert await listed(host) == before
    assert await leftovers(host) == ""
    assert await back_up(host) in await listed(host)


@pytest.mark.parametrize("file", ["held", "slow"], ids=["before it", "in its middle"])
async def test_a_daemon_that_is_killed_in_a_replacement_carries_it_on(
    host: Production, file: str
) -> None:
    drop_in = host.path(f"/etc/systemd/system/bluegreen-{APP}-job@.service.d/hold.conf")
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text(DROP_IN)
    await host.host.run("systemctl", "daemon-reload")
    first = (await listed(host))[-1]
    await write(host, "second")
    await host.bluegreen("stop", APP)
    hold = run_file(host, file)
    hold.touch()
    status, document = await ask(host, "POST", f"{APP_PATH}/backups/{first}/restore", {})
    assert status == 202
    moved = host.path(f"{SHARED}/data/.servers.db.replaced-{document['id']}")

    async def is_held() -> bool:
        units = f"bluegreen-{APP}-job@{APP}-replace-*"
        said = await host.host.run("systemctl", "list-units", "--plain", "--no-legend", units)
        return bool(said.output) and (file == "held" or moved.exists())

    await eventually(is_held, f"it is held: {file}")
    assert await as_app(host, f"cat {SHARED}/uploads/deep/a.txt") == "second"
    hold.unlink()
    await kill(host)
    operation = await rest(host)
    assert (operation["id"], operation["state"]) == (document["id"], "succeeded")
    assert await data(host) == FIRST
    assert await leftovers(host) == ""
    await host.bluegreen("start", APP)
    assert await host.served() == "v1"


async def tables(production: Production) -> set[str]:
    said = await as_app(
        production, f"sqlite3 {DATABASE} \"SELECT name FROM sqlite_schema WHERE type = 'table'\""
    )
    return set(said.split()) & {"audit_logs", "half"}


async def test_migrations_of_a_release_run_as_the_apps_user_and_are_undone_by_name(
    host: Production,
) -> None:
    host.write_app(extra=SECTION.replace('"cat {shared_dir}/kv; ', '"frobnicate; '), **OPTIONS)
    await host.bluegreen("apply")
    said = await host.deploy("v4-halfway", check=False)
    assert "command of [backup] needs frobnicate, and there is no such command" in said.output
    host.write_app(extra=f"{MIGRATIONS}rehearse = false\n", **OPTIONS)
    await host.bluegreen("apply")
    said = await host.deploy("v4-halfway", check=False)
    assert said.status == 1
    assert "rolled back: 0001_audit_logs" in said.output
    operation = await latest_operation(host)
    assert f"backup {operation['id']} holds the data of before" in said.output
    assert await tables(host) == {"half"}
    assert await host.served() == "v1"
    host.write_app(extra=MIGRATIONS, **OPTIONS)
    await host.bluegreen("apply")
    number = await begin_deploy(host, "v4-notes")
    # One at a time, whoever asks.
    status, _ = await ask(host, "POST", f"{APP_PATH}/migrations/run", {})
    assert status == 409
    operation = await rest(host)
    assert (operation["id"], operation["state"]) == (number, "succeeded")
    for phase in ("rehearse", "migrate"):
        log = (await host.bluegreen("logs", APP, str(number), "--phase", phase)).output
        assert re.search(rf"\b{APP}$", log, re.MULTILINE), log
        assert "applying 0001_audit_logs" in log
    assert await tables(host) == {"half", "audit_logs"}
    assert await host.served() == "v4-notes"


async def test_migrations_by_hand_are_the_apps_users_too(host: Production) -> None:
    for words, says in (
        (("rollback", APP), "rolled back: 0002_notes"),
        (("rollback", APP, "0001_audit_logs"), "rolled back: 0001_audit_logs"),
        (("mark-applied", APP, "0001_audit_logs"), "0001_audit_logs"),
        (("run", APP), "0002_notes"),
    ):
        said = await host.bluegreen("migrations", *words)
        assert says in said.output
    assert await tables(host) == {"half"}  # what was only marked was not done
    assert await leftovers(host) == ""
    owner = await host.host.run("stat", "-c", "%U", DATABASE)
    assert owner.output.strip() == APP
