"""``[backup]`` of an app file: what it takes, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import InvalidConfiguration, load_app
from bluegreen.config.settings import Backup

APP = """\
[app]
name = "shop"
shared = ["data"]
[source]
git = "/srv/git/shop.git"
[services.api]
command = "run"
[backup]
"""


def load(tmp_path: Path, section: str) -> Backup:
    file = tmp_path / "shop.toml"
    file.write_text(APP + section)
    backup = load_app(file).backup
    assert backup is not None
    return backup


def test_all_of_it_is_read(tmp_path: Path) -> None:
    backup = load(
        tmp_path,
        """
        sqlite = ["data/app.db"]
        files = ["uploads", "data/keys"]
        postgres = ["postgresql:///shop", "postgresql://shop@127.0.0.1:5432/shop?sslmode=require"]
        command = "redis-cli --rdb -"
        restore_command = "cat > {shared_dir}/dump.rdb"
        keep = 3
        timeout = "5m"
        """,
    )
    assert backup.sqlite == ("data/app.db",)
    assert backup.files == ("uploads", "data/keys")
    assert len(backup.postgres) == 2
    assert (backup.keep, backup.timeout) == (3, 300.0)


@pytest.mark.parametrize(
    ("section", "key", "says"),
    [
        ("", "backup", "it names nothing that is to be backed up"),
        ("keep = 3", "backup", "it names nothing that is to be backed up"),
        ('sqlite = ["/var/app.db"]', "backup.sqlite[0]", "inside the app's shared directory"),
        ('sqlite = ["../app.db"]', "backup.sqlite[0]", "without '..'"),
        ('files = ["a/../../b"]', "backup.files[0]", "without '..'"),
        ('files = ["a", "a/b"]', "backup.files[1]", '"a/b" and "a" lie in each other'),
        (
            'sqlite = ["data/app.db"]\nfiles = ["data"]',
            "backup.files[0]",
            '"data" and "data/app.db" lie in each other',
        ),
        ('sqlite = ["a.db", "a.db"]', "backup.sqlite[1]", '"a.db" is listed twice'),
        ('sqlite = ["a.db"]\nkeep = 0', "backup.keep", "Write 1 or more"),
        ('sqlite = ["a.db"]\ntimeout = 5', "backup.timeout", "a number and a unit of time"),
        ('postgres = ["mysql:///shop"]', "backup.postgres[0]", "postgresql:///app"),
        ('postgres = ["postgresql:///a{copy}"]', "backup.postgres[0]", "Write its real name"),
        ('postgres = ["postgresql://h:0/a"]', "backup.postgres[0]", "from 1 to 65535"),
        ('postgres = ["postgresql://h:70000/a"]', "backup.postgres[0]", "from 1 to 65535"),
        ('postgres = ["postgresql://u@[::1]:99999/a"]', "backup.postgres[0]", "from 1 to 65535"),
        ('postgres = ["postgresql://a:1,b:70000/a"]', "backup.postgres[0]", "from 1 to 65535"),
        ('postgres = ["postgresql:///a?port=70000"]', "backup.postgres[0]", "from 1 to 65535"),
        ('postgres = ["postgresql:///a", "postgresql:///a"]', "backup.postgres[1]", "the same as"),
        ('sqlite = ["a.db"]\nrestore_command = "x"', "backup", "no command that makes"),
        (
            'sqlite = ["a.db"]\ncopy_command = "x{shared_dir}"',
            "backup",
            "no command that makes",
        ),
        ('command = "d"\ncopy_command = "load x{copy}"', "backup.copy_command", "Add drop_command"),
        ('command = "dump"\ndrop_command = "x"', "backup", "no copy_command that makes"),
        (
            'command = "d"\ncopy_command = "{shared_dir}{prot}"',
            "backup.copy_command",
            "no placeholder {prot}",
        ),
        ('command = "d"\ncopy_command = "mysql shop"', "backup.copy_command", "names no copy"),
        ('command = "d"\ncopy_command = "x {{copy}}"', "backup.copy_command", "names no copy"),
        (
            'command = "d"\ncopy_command = "x {copy}"\ndrop_command = "dropdb shop"',
            "backup.drop_command",
            "would do it to the data themselves. End the copy's name with {copy}",
        ),
        ('command = "dump {prot}"', "backup.command", "no placeholder {prot}"),
        (
            'command = "dump"\nrestore_command = "load {nothing}"',
            "backup.restore_command",
            "no placeholder {nothing}",
        ),
        ('sqlite = ["a.db"]\ncompress = true', "backup.compress", "no key of that name"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, section: str, key: str, says: str
) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load(tmp_path, section)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert problem.line is not None
    assert problem.line >= 8
    assert says in str(problem)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h:65535/a", "postgresql://u@[::1]:5433/a", "postgresql://[::1]/a",
        "postgresql://a:1,b,c:2/a", "postgresql://h:/a", "postgresql:///a?host=/run&port=1,2",
        "postgresql://%2Frun/a",
    ],
)  # fmt: skip
def test_an_address_that_libpq_takes_is_taken(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, f'postgres = ["{url}"]').postgres == (url,)


def test_what_stands_for_a_port_may_be_a_password(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load(tmp_path, 'postgres = ["postgresql://shop:hunter22/shop"]')
    (problem,) = caught.value.problems
    assert "from 1 to 65535" in problem.right
    assert "hunter22" not in str(problem)


@pytest.mark.parametrize(
    "url", ["postgresql://shop:hunter22@localhost/shop", "postgresql:///shop?password=hunter22"]
)
def test_a_password_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load(tmp_path, f'postgres = ["{url}"]')
    (problem,) = caught.value.problems
    assert "PGPASSWORD" in problem.right
    assert "hunter22" not in str(problem)
