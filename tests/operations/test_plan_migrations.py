"""A plan names the migrations that are pending, as far as they are known."""

from __future__ import annotations

import re

from tests.operations.migrations import ALL, CHECK, schema, section, serve
from tests.stack import Stack

# What a build step would make: without it nothing can be asked.
BUILT = CHECK.replace("check = '''", "check = '''test -d dist && ")


async def test_pending_migrations_are_known_from_the_latest_rehearsal(empty: Stack) -> None:
    await serve(empty, section(ALL.replace(CHECK, BUILT)), deadline="3s")
    assert (
        "pending migrations: found out in the rehearsal"
        in (await empty.cli("plan", "v4-unhealthy")).out
    )
    assert (await empty.cli("deploy", "v4-unhealthy")).status == 1
    number = (await empty.operations())[0]["id"]
    said = (await empty.cli("plan", "v4-unhealthy")).out
    assert (
        "pending migrations: 0001_audit_logs, 0002_notes "
        f"(as the rehearsal of operation {number} has found)"
    ) in said


async def test_without_a_build_they_are_asked_on_a_copy(empty: Stack) -> None:
    await serve(empty)
    said = (await empty.cli("plan", "v4-notes")).out
    assert "0001_audit_logs, 0002_notes (asked on a copy of the data, before a build)" in said
    assert "pending migrations: none (as the rehearsal" in (await empty.cli("plan", "v2")).out
    file = empty.layout.app_files / "monitor.toml"
    without = re.sub(r"^\[\[build\]\]\n(?:[a-z].*\n)+", "", file.read_text(), flags=re.MULTILINE)
    assert "[[build]]" not in without
    file.write_text(without)
    assert (await empty.cli("reload")).status == 0
    before = schema(empty)
    said = (await empty.cli("plan", "v4-notes")).out
    assert (
        "pending migrations: 0001_audit_logs, 0002_notes (asked on a copy of the data)" in said
    ), said
    assert schema(empty) == before
    assert not list(empty.layout.app("monitor").plans.iterdir())
    assert "pending migrations: none (asked on" in (await empty.cli("plan", "v1")).out
