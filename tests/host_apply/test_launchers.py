"""The launchers that units run."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bluegreen.config.env_file import read_env_file
from bluegreen.errors import ConfigError
from tests.host_apply.installed import CHECKOUT

SYSTEMD = CHECKOUT / "systemd"
SHOW = ("/usr/bin/python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))")


def _run(launcher: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SYSTEMD / launcher, *words], env={"PATH": os.defpath, **env},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("content", ["v1.2\n", "v1.2"])
def test_exec_says_which_version_runs(tmp_path: Path, content: str) -> None:
    (tmp_path / "blue").write_text(content)
    said = _run("bluegreen-exec", str(tmp_path / "blue"), *SHOW)
    assert json.loads(said.stdout)["BLUEGREEN_VERSION"] == "v1.2"


def test_exec_gives_the_defaults_of_a_version_where_nothing_is_set(tmp_path: Path) -> None:
    lines = ("v1.2", "A=1", "B=2", "C=3", 'D=$(x) "y" \\ =z ', "E=")
    (tmp_path / "blue").write_text("".join(f"{line}\n" for line in lines))
    said = _run("bluegreen-exec", str(tmp_path / "blue"), *SHOW, B="own", C="")
    environment = json.loads(said.stdout)
    assert {name: environment[name] for name in "ABCDE"} == {
        "A": "1", "B": "own", "C": "", "D": 'D=$(x) "y" \\ =z '.removeprefix("D="), "E": "",
    }  # fmt: skip


def test_exec_runs_nothing_without_a_version(tmp_path: Path) -> None:
    for file in (tmp_path / "none", tmp_path / "empty"):
        if file.name == "empty":
            file.write_text("")
        said = _run("bluegreen-exec", str(file), *SHOW)
        assert (said.returncode, said.stdout) == (78, "")
        assert "does not say which release" in said.stderr


def test_env_lays_a_later_layer_over_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "app.env-file").write_text("A=1\nB=1\nC=1\n")
    (tmp_path / "app.S").write_text("two\n\n")
    (tmp_path / "own.env-file").write_text("C=3\n")
    said = _run(
        "bluegreen-env", "file=app.env-file", "text=B=x=y", "text=C=2", "secret=S=app.S",
        "file=own.env-file", "--", *SHOW, CREDENTIALS_DIRECTORY=str(tmp_path), A="0",
    )  # fmt: skip
    environment = json.loads(said.stdout)
    assert {name: environment[name] for name in "ABCS"} == {
        "A": "1", "B": "x=y", "C": "3", "S": "two\n",
    }  # fmt: skip


def test_env_repeats_no_secret_when_it_fails(tmp_path: Path) -> None:
    (tmp_path / "e").write_text("A=1\nhunter2 is no line\n")
    said = _run("bluegreen-env", "file=e", "--", *SHOW, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert said.returncode == 1
    assert said.stderr == "bluegreen-env: e:2: not a line of an env file\n"


LINES = st.lists(
    st.text(st.sampled_from("AB_1= \t\"'\\#nrt$é\r") | st.characters(categories=["L", "N"]))
    | st.from_regex(r"(export )?[A-C]=[\"']?[a #\\]{0,6}[\"']?( #x)?", fullmatch=True),
    max_size=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=LINES)
@example(lines=['export A="a\\n\\"b" # c', "B='$x' #", "C=a #b", "D=a#b"])
def test_env_reads_env_files_as_bluegreen_does(tmp_path: Path, lines: list[str]) -> None:
    file = tmp_path / "env-file"
    file.write_text("\n".join(lines), newline="")
    said = _run("bluegreen-env", "file=env-file", "--", *SHOW, CREDENTIALS_DIRECTORY=str(tmp_path))
    try:
        wanted = read_env_file(file)
    except ConfigError:
        assert said.returncode == 1
        return
    environment = json.loads(said.stdout)
    assert {name: environment[name] for name in wanted} == wanted


def test_a_job_is_run_where_and_with_what_its_file_says(tmp_path: Path) -> None:
    spec = tmp_path / "1.json"
    code = "import os; print(os.getcwd(), os.environ['A'], os.environ['HOME'])"
    spec.write_text(
        json.dumps({
            "argv": ["/usr/bin/python3", "-c", code], "cwd": str(tmp_path),
            "env": {"A": "1", "HOME": "/the/daemons"},
        })
    )  # fmt: skip
    said = _run("bluegreen-job", str(spec), HOME="/the/apps")
    assert said.stdout == f"{tmp_path} 1 /the/apps\n"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"argv": ["/no/such"], "cwd": "/", "env": {}}'])
def test_a_job_that_cannot_be_run_says_why(tmp_path: Path, text: str) -> None:
    spec = tmp_path / "1.json"
    spec.write_text(text)
    said = _run("bluegreen-job", str(spec))
    assert said.returncode == 1
    assert said.stderr.startswith(f"bluegreen-job: {spec}: ")
