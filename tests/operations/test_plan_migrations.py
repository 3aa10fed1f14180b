"""A plan names the migrations that are pending, as far as they are known."""

from __future__ import annotations

import re

from tests.operations.data import shared
from tests.operations.migrations import ALL, CHECK, rewrite, schema, section, serve
from tests.stack import Stack

# What a build step would make: without it nothing can be asked.
BUILT = CHECK.replace("check = '''", "check = '''test -d dist && ")


async def test_pending_migrations_are_known_from_the_latest_rehearsal(empty: Stack) -> None:
    await serve(empty, section(ALL.replace(CHECK, BUILT)))
    unbuilt = (await empty.cli("plan", "v4-unhealthy")).out
    assert "pending migrations: found out in the rehearsal" in unbuilt
    assert "thrown away: bluegreen plan monitor v4-unhealthy --build\n" in unbuilt
    await rewrite(empty, section(ALL.replace(CHECK, BUILT)), deadline="6s")
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
    await empty.reload()
    before = schema(empty)
    said = (await empty.cli("plan", "v4-notes")).out
    assert (
        "pending migrations: 0001_audit_logs, 0002_notes (asked on a copy of the data)" in said
    ), said
    assert schema(empty) == before
    assert not list(empty.layout.app("monitor").plans.iterdir())
    assert "pending migrations: none (asked on" in (await empty.cli("plan", "v1")).out
    await _what_is_in_the_way_is_told(empty, without)


async def _what_is_in_the_way_is_told(empty: Stack, text: str) -> None:
    file = empty.layout.app_files / "monitor.toml"
    # What check says on a copy is what the rehearsal of a deploy would say.
    fails = "check = 'echo no such table; false'\n"
    file.write_text(text.replace(CHECK, fails))
    await empty.reload()
    answer = await empty.cli("plan", "v4-notes")
    assert answer.status == 1
    assert "pending migrations: not known: monitor: check of v4-notes failed" in answer.out
    assert "     no such table\n" in answer.out
    # Without one it is asked on the data themselves, and may well be answered there.
    file.write_text(text.replace(CHECK, fails + "rehearse = false\n"))
    await empty.reload()
    answer = await empty.cli("plan", "v4-notes")
    assert answer.status == 0, answer.out
    assert "pending migrations: not known: monitor: check of v4-notes failed" in answer.out
    (shared(empty) / "data/broken.db").write_text("not a database" * 1000)
    named = 'sqlite = ["data/servers.db", "data/broken.db"]'
    file.write_text(text.replace('sqlite = ["data/servers.db"]', named))
    await empty.reload()
    said = (await empty.cli("plan", "v4-notes")).out
    assert "found out in the rehearsal, before anything is touched; it could not be asked " in said
    assert "now: monitor: the database broken.db is damaged; restore the newest good" in said, said


async def test_a_check_that_needs_its_build_is_asked_in_one_that_is_thrown_away(
    empty: Stack,
) -> None:
    # A build step that writes to the data, as an app's own tests may: to the copy of them.
    writes = """
[[build]]
name = "dist"
run = "mkdir -p dist && echo x >> data/built && echo x >> {shared_dir}/built"
"""
    await serve(empty, section(ALL.replace(CHECK, BUILT)) + writes)
    (shared(empty) / "built").unlink()
    (shared(empty) / "data/built").unlink()
    before, trees = schema(empty), sorted(empty.layout.app("monitor").trees.iterdir())
    answer = await empty.cli("plan", "v4-notes", "--build")
    assert answer.status == 0, answer.out + answer.err
    assert (
        "pending migrations: 0001_audit_logs, 0002_notes "
        "(asked on a copy of the data, in a build of it)"
    ) in answer.out
    assert "building v4-notes" in answer.err
    assert "build step dist of v4-notes" in empty.daemon_log.read_text()
    answer = await empty.cli("plan", "v2", "--build", "--json")
    assert answer.document["migrations"]["names"] == []
    assert (schema(empty), sorted(empty.layout.app("monitor").trees.iterdir())) == (before, trees)
    assert not (shared(empty) / "built").exists()
    assert not (shared(empty) / "data/built").exists()
    assert not list(empty.layout.app("monitor").plans.iterdir())
    assert [one["kind"] for one in await empty.operations()] == ["deploy"]
    # What the build says is what a deploy would fail with.
    await rewrite(
        empty,
        section(ALL.replace(CHECK, BUILT)) + writes.replace("mkdir", "echo no lock file; false"),
    )
    answer = await empty.cli("plan", "v4-notes", "--build")
    assert answer.status == 1
    assert "pending migrations: not known: monitor: build step dist of v4-notes" in answer.out
    assert "     no lock file\n     remedy: see to what it says, then plan again\n" in answer.out
    assert sorted(empty.layout.app("monitor").trees.iterdir()) == trees
