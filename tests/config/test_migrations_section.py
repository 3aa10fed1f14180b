"""``[migrations]`` of an app file: what it takes, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import InvalidConfiguration, load_app
from bluegreen.config.migrations_section import Migrations

APP = """\
[app]
name = "shop"
[source]
git = "/srv/git/shop.git"
[services.api]
command = "run"
"""
BACKUP = '[backup]\nsqlite = ["data/app.db"]\n'


def load(tmp_path: Path, section: str, backup: str = BACKUP) -> Migrations:
    file = tmp_path / "shop.toml"
    file.write_text(f"{APP}{backup}[migrations]\n{section}")
    migrations = load_app(file).migrations
    assert migrations is not None
    return migrations


def test_all_of_it_is_read(tmp_path: Path) -> None:
    migrations = load(
        tmp_path,
        r"""
        mode = "online"
        check = "m check {slot_dir}"
        run = "m run"
        rollback = "m rollback {name}"
        mark_applied = "m mark {name}"
        fail_on = "\\[(FATAL|ERROR)\\]"
        rehearse = false
        timeout = "5m"
        """,
    )
    assert migrations.runs
    assert not migrations.rehearse
    assert migrations.timeout == 300.0
    assert migrations.failure is not None
    assert migrations.failure.search("12:00 [FATAL] no table")


def test_the_defaults(tmp_path: Path) -> None:
    migrations = load(tmp_path, "")
    assert (migrations.mode, migrations.rehearse, migrations.timeout) == ("online", True, 600.0)
    assert not migrations.runs


@pytest.mark.parametrize(
    ("section", "rehearses", "tries"),
    [
        ("", True, True),
        ('rehearse = "migrations"', True, False),
        ("rehearse = false", False, False),
        ('mode = "none"', False, False),
    ],
)
def test_what_is_rehearsed(tmp_path: Path, section: str, rehearses: bool, tries: bool) -> None:
    migrations = load(tmp_path, section)
    assert (migrations.rehearses, migrations.tries_old_version) == (rehearses, tries)


def test_none_needs_no_backup(tmp_path: Path) -> None:
    assert load(tmp_path, 'mode = "none"', backup="").mode == "none"


@pytest.mark.parametrize(
    ("section", "key", "says"),
    [
        ('mode = "fast"', "migrations.mode", "fast"),
        ('check = "c"\nrollback = "m down"', "migrations.rollback", "migrations.rollback {name}"),
        ('check = "c"\nrollback = "m {{name}}"', "migrations.rollback", "write {name}"),
        (
            'check = "c"\nmark_applied = "m up"',
            "migrations.mark_applied",
            'where the name belongs, such as "python3 -m migrations.mark_applied {name}"',
        ),
        ('rollback = "m {name}"', "migrations.rollback", "nothing says which migrations there are"),
        ('run = "m {name}"', "migrations.run", "there is no placeholder {name} here"),
        ('fail_on = "[FATAL"', "migrations.fail_on", "no regular expression"),
        ('fail_on = ".*"', "migrations.fail_on", "it matches an empty line"),
        ('mode = "none"\nrun = "m"', "migrations.run", "it would never be run"),
        ('rehearse = "old"', "migrations.rehearse", 'write true, false, or "migrations"'),
        ("rehearse = 1", "migrations.rehearse", 'write true, false, or "migrations"'),
        ('timeout = "0s"', "migrations.timeout", "greater than 0"),
        ('sync = "m"', "migrations.sync", "there is no key of that name"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, section: str, key: str, says: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load(tmp_path, section)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert says.lower() in f"{problem.wrong}; {problem.right}".lower()


@pytest.mark.parametrize("section", ['run = "m"', ""])
@pytest.mark.parametrize(
    ("backup", "says"),
    [
        ("", "no data are changed without a backup"),
        ('[backup]\npostgres = ["postgresql:///shop"]\n', "nothing leads the app to the copy"),
        (
            '[backup]\npostgres = ["postgresql:///shop"]\n[env]\nURL = "x{{copy}}"\n',
            "nothing leads the app to the copy",
        ),
        ('[backup]\npostgres = ["postgresql://h"]\n', "it names no database"),
        (f'[backup]\npostgres = ["postgresql:///{"a" * 48}"]\n', "more than 63 bytes"),
        ('[backup]\ncommand = "dump"\n', "under command cannot be copied"),
    ],
)
def test_what_it_needs_of_the_backup(tmp_path: Path, section: str, backup: str, says: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load(tmp_path, section, backup=backup)
    (problem,) = caught.value.problems
    assert problem.key == "migrations"
    assert says in problem.wrong


POSTGRES = '[backup]\npostgres = ["postgresql:///shop"]\n'
COMMANDS = '[backup]\ncommand = "dump"\ncopy_command = "cat > {shared_dir}/shop"\n'


@pytest.mark.parametrize(
    ("section", "backup"),
    [
        ('run = "psql shop{copy}"', POSTGRES),
        ('check = "psql shop{copy}"', POSTGRES),
        ("", f'{POSTGRES}[env]\nURL = "postgresql:///shop{{copy}}"\n'),
        ("", f'{POSTGRES}[services.api.env]\nURL = "postgresql:///shop{{copy}}"\n'),
        ("rehearse = false", POSTGRES),
        ('mode = "none"', POSTGRES),
        ("", COMMANDS),
        ("", f'{COMMANDS}drop_command = "drop shop{{copy}}"\n'),
    ],
)
def test_all_kinds_of_data_can_be_rehearsed_on(tmp_path: Path, section: str, backup: str) -> None:
    load(tmp_path, section, backup=backup)


def test_a_brace_that_is_written_twice_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load(tmp_path, 'run = "psql shop{{copy}}"', backup=POSTGRES)
    assert "Write {copy} behind the name" in caught.value.problems[0].right


@pytest.mark.parametrize("sqlite", ['["/abs.db"]', '["../x"]', '"text"', "[]"])
def test_what_is_wrong_with_the_backup_is_said_alone(tmp_path: Path, sqlite: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load(tmp_path, 'run = "m"', backup=f"[backup]\nsqlite = {sqlite}\n")
    (problem,) = caught.value.problems
    assert problem.key.startswith("backup")
