from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.config import environment
from bluegreen.config.environment import build_environment, resolve, service_environment
from bluegreen.config.layers import Layer
from bluegreen.config.load import load_app
from bluegreen.config.secret_file import SecretFile
from bluegreen.config.settings import AppSettings
from bluegreen.errors import ConfigError
from bluegreen.layout import Layout
from bluegreen.model import Slot
from tests.config.samples import small_app, write

IDENTITY = {"BLUEGREEN_APP": "blog", "BLUEGREEN_SLOT": "blue", "BLUEGREEN_VERSION": "v1"}


def _secret(file: Path) -> Layer:
    return Layer(label="", table={"S": SecretFile(file=str(file))}, env_file=None)


@pytest.fixture
def blog(tmp_path: Path) -> AppSettings:
    (tmp_path / "app.env").write_text("A=app-file\nB=app-file\nC=app-file\nD=app-file\n")
    (tmp_path / "own.env").write_text("C=own-file\nD=own-file\n")
    (tmp_path / "secret").write_text("s3cret {port}\n")
    extra = f"""
[env]
env_file = "{tmp_path}/app.env"
B = "app-table"
C = "app-table"
D = "app-table"
SECRET = {{ file = "{tmp_path}/secret" }}
[services.worker]
command = "work"
[[build]]
name = "all"
run = "make"
env_file = "{tmp_path}/own.env"
env = {{ D = "own-table {{ports.web}}", BUILD_ONLY = "1" }}
"""
    text = small_app("blog", 9001, 9101, extra=extra).replace(
        "[[routes]]",
        f'env_file = "{tmp_path}/own.env"\nenv = {{ D = "own {{port}}", API = "1" }}\n[[routes]]',
    )
    return load_app(write(tmp_path, text, "blog"))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the daemon's own environment holds."""
    variables = {
        "PATH": "/bin", "HOME": "/home/x", "LANG": "C", "LC_ALL": "C.UTF-8", "TZ": "UTC",
        "https_proxy": "http://proxy", "DAEMON_TOKEN": "secret", "PYTHONPATH": "/x",
    }  # fmt: skip
    monkeypatch.setattr(os, "environ", variables)
    return variables


def test_a_service_gets_a_clean_environment_and_the_later_layer_wins(
    blog: AppSettings, host: dict[str, str], tmp_path: Path
) -> None:
    layout = Layout(tmp_path).app("blog")
    found = service_environment(
        blog, layout, Slot.BLUE, "web", version="v1", tree=tmp_path
    ).variables
    assert found == IDENTITY | {
        "PATH": "/bin", "HOME": "/home/x", "LANG": "C", "LC_ALL": "C.UTF-8", "TZ": "UTC",
        "PORT": "9001", "A": "app-file", "B": "app-table", "C": "own-file", "D": "own 9001",
        "API": "1", "SECRET": "s3cret {port}",
    }  # fmt: skip


def test_a_service_without_a_port_gets_none(
    blog: AppSettings, host: dict[str, str], tmp_path: Path
) -> None:
    layout = Layout(tmp_path).app("blog")
    found = service_environment(
        blog, layout, Slot.GREEN, "worker", version="v1", tree=tmp_path
    ).variables
    assert "PORT" not in found
    assert (found["BLUEGREEN_SLOT"], found["D"]) == ("green", "app-table")


def test_a_build_sees_caches_and_proxies_but_nothing_of_the_services(
    blog: AppSettings, host: dict[str, str], tmp_path: Path
) -> None:
    layout = Layout(tmp_path).app("blog")
    found = build_environment(
        blog, layout, Slot.BLUE, blog.build[0], version="v1", tree=tmp_path
    ).variables
    cache = layout.cache / "build"
    assert found == IDENTITY | {
        "PATH": "/bin", "HOME": "/home/x", "LANG": "C", "LC_ALL": "C.UTF-8", "TZ": "UTC",
        "https_proxy": "http://proxy",
        "PIP_CACHE_DIR": str(cache / "pip"), "npm_config_cache": str(cache / "npm"),
        "XDG_CACHE_HOME": str(cache / "xdg"),
        "A": "app-file", "B": "app-table", "C": "own-file", "D": "own-table 9001",
        "BUILD_ONLY": "1", "SECRET": "s3cret {port}",
    }  # fmt: skip


def test_a_host_without_path_and_home_gets_usable_ones(
    blog: AppSettings, host: dict[str, str], tmp_path: Path
) -> None:
    host.clear()
    layout = Layout(tmp_path).app("blog")
    found = service_environment(
        blog, layout, Slot.BLUE, "web", version="v1", tree=tmp_path
    ).variables
    assert found["PATH"] == environment.DEFAULT_PATH
    assert found["HOME"].startswith("/")


@pytest.mark.parametrize("missing", ["secret", "app.env", "own.env"])
def test_a_missing_file_is_named(blog: AppSettings, tmp_path: Path, missing: str) -> None:
    (tmp_path / missing).unlink()
    layout = Layout(tmp_path).app("blog")
    with pytest.raises(ConfigError) as caught:
        service_environment(blog, layout, Slot.BLUE, "web", version="v1", tree=tmp_path)
    assert f"{tmp_path}/{missing} cannot be read: No such file" in caught.value.message


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"x\n", "x"), (b"x\r\n", "x"), (b" x \n\n", " x \n"), (b"", ""), (b"a\nb", "a\nb")],
)
def test_a_secret_loses_only_the_line_end_of_its_file(
    tmp_path: Path, content: bytes, value: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    assert resolve(_secret(file), values={}, base={}) == {"S": value}


@pytest.mark.parametrize(
    ("content", "wrong"),
    [(b"hunter2\0", "NUL"), (b"hunter2\xff", "UTF-8"), (b"hunter2" * 100_000, "larger than")],
)
def test_a_secret_that_cannot_be_used_is_named_but_never_quoted(
    tmp_path: Path, content: bytes, wrong: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        resolve(
            _secret(file),
            values={},
            base={},
        )
    shown = "\n".join(caught.value.lines())
    assert wrong in shown
    assert str(file) in shown
    assert "hunter2" not in shown


def test_a_pipe_is_no_secret_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not an ordinary file"):
        resolve(
            _secret(tmp_path / "pipe"),
            values={},
            base={},
        )


def test_what_the_daemon_may_not_read_is_left_to_a_launcher(
    blog: AppSettings, host: dict[str, str], tmp_path: Path
) -> None:
    layout = replace(Layout(tmp_path).app("blog"), env_launcher=Path("/opt/env"))
    for file in ("app.env", "own.env", "secret"):
        (tmp_path / file).unlink()
    given = service_environment(blog, layout, Slot.BLUE, "web", version="v1", tree=tmp_path)
    assert given.variables["PORT"] == "9001"
    assert "SECRET" not in given.variables
    assert given.command(["serve"]) == (
        "/opt/env", "file=app.env-file", "text=B=app-table", "text=C=app-table",
        "text=D=app-table", "secret=SECRET=app.SECRET", "file=services.web.env-file",
        "text=D=own 9001", "text=API=1", "--", "serve",
    )  # fmt: skip
