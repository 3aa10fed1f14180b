"""What an app file may ask to be done under a hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import InvalidConfiguration, load_app
from bluegreen.config.settings import AppSettings

APP = """\
[app]
name = "shop"
{app}
[source]
git = "/srv/git/shop.git"
[services.api]
command = "run"
"""
NGINX = '\n[nginx]\nlisten = ["8080"]\n'
DUMPED = '\n[backup]\ncommand = "dump"\n'
BY_MIGRATIONS = '\n[migrations]\nmode = "hold"\nrun = "m"\nrehearse = false\n'


def load(tmp_path: Path, more: str, app: str = "") -> AppSettings:
    file = tmp_path / "shop.toml"
    file.write_text(APP.format(app=app) + more)
    return load_app(file)


@pytest.mark.parametrize(
    ("app", "more", "key"),
    [
        ("overlap = false", "", "app.overlap"),
        ("", '\n[backup]\nsqlite = ["a.db"]\n' + BY_MIGRATIONS, "migrations.mode"),
    ],
)
@pytest.mark.parametrize("nginx", ['mode = "upstream"', 'listen = ["8080"]\nswitch = "reload"'])
def test_what_nginx_cannot_hold_is_refused(
    tmp_path: Path, app: str, more: str, key: str, nginx: str
) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load(tmp_path, f"{more}\n[nginx]\n{nginx}\n", app)
    (found,) = [one for one in caught.value.problems if one.key == key]
    assert "requests cannot be held" in found.wrong


def test_what_cannot_be_put_back_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load(tmp_path, NGINX + DUMPED + BY_MIGRATIONS)
    assert [one.key for one in caught.value.problems] == ["migrations.mode"]
    assert "restore_command" in caught.value.problems[0].right
    load(tmp_path, NGINX + DUMPED + 'restore_command = "load"\n' + BY_MIGRATIONS)


def test_a_third_of_the_limit_is_for_the_way_back(tmp_path: Path) -> None:
    settings = load(tmp_path, NGINX + '\n[hold]\nlimit = "90s"\n', "overlap = false")
    assert (settings.hold.limit, settings.hold.forward) == (90.0, 60.0)


@pytest.mark.parametrize("limit", ["", '[hold]\nlimit = "20s"\n'])
def test_a_service_that_may_stop_for_all_of_the_time_is_refused(tmp_path: Path, limit: str) -> None:
    stop = "40s" if not limit else "13.4s"
    more = f'stop_timeout = "{stop}"\n{NGINX}{limit}'
    with pytest.raises(InvalidConfiguration) as caught:
        load(tmp_path, more, "overlap = false")
    (found,) = caught.value.problems
    assert found.key == "services.api.stop_timeout"
    assert ("120s" if not limit else "40s") in found.right
    with pytest.raises(InvalidConfiguration) as caught:
        load(tmp_path, more.replace(stop, "25m"), "overlap = false")
    assert "limit" not in caught.value.problems[0].right  # it could be none so long
    load(tmp_path, more)  # where nothing is held
    load(tmp_path, more.replace(stop, "13s"), "overlap = false")
