"""What a systemd host cannot do of an app file is said, with its place."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from bluegreen.cli.apply import masked
from bluegreen.config.load import load_all
from bluegreen.host import refusals
from bluegreen.layout import Layout

APP = """\
nginx = {{ server_name = ["{name}.example.org"] }}
[app]
name = "{name}"
user = "nobody"

[source]
git = "/srv/git/x.git"

[services.{service}]
command = "run"
"""


def _said(tmp_path: Path, **files: str) -> list[str]:
    layout = Layout(tmp_path)
    layout.app_files.mkdir(parents=True)
    for name, text in files.items():
        (layout.app_files / f"{name.replace('_', '-')}.toml").write_text(text)
    apps = load_all(layout).apps
    return [
        f"{problem.file.name}:{problem.line} {problem.key}: {problem.wrong}"
        for problem in refusals.problems(apps, layout)
    ]


def _app(name: str = "a", service: str = "api", more: str = "") -> str:
    return APP.format(name=name, service=service) + more


def test_an_ordinary_app_is_fine(tmp_path: Path) -> None:
    assert _said(tmp_path, a=_app()) == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("", "a.toml:2 app.user: no user is named"),
        ('user = "no-such-user"', 'a.toml:4 app.user: this host has no user "no-such-user"'),
        ('user = "root"', "a.toml:4 app.user: an app may not run as root"),
    ],
)
def test_an_app_needs_a_user_of_its_own(tmp_path: Path, line: str, wrong: str) -> None:
    (said,) = _said(tmp_path, a=_app().replace('user = "nobody"', line))
    assert said.startswith(wrong)


def test_units_of_two_apps_cannot_have_one_name(tmp_path: Path) -> None:
    said = _said(tmp_path, a=_app("a", "b-c"), a_b=_app("a-b", "c"))
    assert said == [
        "a-b.toml:9 services.c: its units would be called bluegreen-a-b-c@…, "
        "as those of services.b-c of app a are"
    ]


def test_a_service_cannot_be_called_as_jobs_are(tmp_path: Path) -> None:
    said = _said(tmp_path, a=_app("a", "b-job"), a_b=_app("a-b"))
    assert len(said) == 1
    assert "a-b.toml:3 app.name: its units would be called bluegreen-a-b-job@" in said[0]


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ('env = {{ V = "{version}" }}', "services.api.env.V"),
        ('env = {{ V = "\\u0007" }}', "services.api.env.V"),
        ('env_file = "/etc/a b"', "services.api.env_file"),
        ('env = {{ V = {{ file = "/etc/a\\"b" }} }}', "services.api.env.V"),
        ('[env]\nV = "{version}"', "env.V"),
        ('[env]\nenv_file = "/etc/a b"', "env.env_file"),
        ('[[build]]\nname = "b"\nrun = "r"\nenv = {{ V = {{ file = "/a b" }} }}', "build[0].env.V"),
    ],
)
def test_what_a_unit_cannot_say_is_refused(tmp_path: Path, more: str, key: str) -> None:
    text = more.replace("{{", "{").replace("}}", "}")
    (said,) = _said(tmp_path, a=_app(more=text))
    assert f" {key}: " in said


def test_a_switch_that_rewrites_files_is_refused(tmp_path: Path) -> None:
    text = _app().replace("nginx = { ", 'nginx = { switch = "reload", ')
    (said,) = _said(tmp_path, a=text)
    assert said.startswith("a.toml:1 nginx.switch: nginx's files are root's")


def test_an_operator_is_warned_of_secrets_that_are_text_and_of_shared_users(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.app_files.mkdir(parents=True)
    for name in ("a", "b"):
        (layout.app_files / f"{name}.toml").write_text(
            _app(name, more='env = { API_TOKEN = "hunter2", MODE = "x" }\n')
        )
    said = refusals.warnings(load_all(layout).apps, layout)
    assert len(said) == 3
    assert "hunter2" not in "".join(said)
    assert any("a and b run as one user, nobody" in line for line in said)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('+Environment="API_TOKEN=hunter2"', '+Environment="API_TOKEN=…"'),
        ('-ExecStart=/x "text=DB_PASSWORD=a\\"b" "text=A=b"',
         '-ExecStart=/x "text=DB_PASSWORD=…" "text=A=b"'),
        ('+Environment="SHOP_KEY=hunter2"', '+Environment="SHOP_KEY=…"'),
        (' Environment="MODE=fast"', ' Environment="MODE=fast"'),
        (' Environment="KEYBOARD=de"', ' Environment="KEYBOARD=de"'),
    ],
)  # fmt: skip
def test_a_diff_leaves_out_what_looks_secret(line: str, shown: str) -> None:
    assert masked(line) == shown


def test_the_account_of_an_app_has_its_group(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.app_files.mkdir(parents=True)
    user = getpass.getuser()
    (layout.app_files / "a.toml").write_text(_app().replace("nobody", user))
    account = refusals.account_of(load_all(layout).apps["a"])
    assert account.user == user
