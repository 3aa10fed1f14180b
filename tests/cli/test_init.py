"""``bluegreen init``: what it writes, refuses and says; filled in, each file is one to be taken."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluegreen.cli import main
from bluegreen.config.settings import SlotPorts
from bluegreen.survey.look import look
from bluegreen.survey.nouns import Survey
from tests.cli.shop import Place, filled_in, write


def test_a_directory_that_cannot_be_written_is_an_error_with_a_remedy(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    write(place.directory, {"file": ""})
    assert main(["init", "--root", str(place.root), "--output", "file/shop.toml"]) == 2
    assert "file/shop.toml cannot be written: " in capsys.readouterr().err


def test_an_empty_directory_gives_a_placeholder_and_says_so(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = place.init({})
    assert shop.source.directory == "/srv/releases/shop/{version}"
    assert "placeholder" in capsys.readouterr().out
    assert place.file().read_text().count("TO FILL IN") == 3
    line = place.file().read_text().splitlines().index('command = "TO-FILL-IN"') + 1
    assert main(["check", str(place.file())]) == 2
    (problem, *_) = capsys.readouterr().out.splitlines()
    assert f"{place.file()}:{line}: services.web.command: nothing says yet" in problem


def test_directories_that_are_made_are_told(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    there = place.directory / "there"
    there.mkdir()
    output = ["--output", "there/new/d/x.toml"]
    assert main(["init", "shop", "--root", str(place.root), *output]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"made the directory {there / 'new/d'}"


def test_what_is_next_is_said(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.unit("shop", "WorkingDirectory=DIR\nExecStart=/usr/bin/python3 app.py")
    place.init({"app.db": "", "app.py": "", "Dockerfile": "EXPOSE 7000\nCMD python app.py"})
    said = capsys.readouterr().out
    for part in (
        f"wrote {place.file()}", "systemctl disable --now shop.service", "mount app.db in",
        f"bluegreen --root {place.root} check", "reload", "deploy shop VERSION",
    ):  # fmt: skip
        assert part in said


@pytest.mark.parametrize("to", [None, "mine.toml"])
def test_a_file_that_is_there_is_never_overwritten(
    place: Place, capsys: pytest.CaptureFixture[str], to: str | None
) -> None:
    file = place.file() if to is None else place.directory / to
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    output = [] if to is None else ["--output", to]
    assert main(["init", "--root", str(place.root), *output]) == 2
    assert file.read_text() == "mine"
    said = capsys.readouterr().err
    assert f"{file} is there already" in said
    assert "Next: " in said


def test_a_file_that_comes_in_the_meantime_is_not_overwritten_either(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def slow(path: Path, *, root: Path, app: str, units: list[str]) -> Survey:
        write(place.root, {"etc/bluegreen/apps/shop.toml": "theirs"})
        return look(path, root=root, app=app, units=units)

    monkeypatch.setattr("bluegreen.cli.init.look", slow)
    assert main(["init", "--root", str(place.root)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert place.file().read_text() == "theirs"
    assert os.listdir(place.file().parent) == ["shop.toml"]


def test_a_link_to_nowhere_is_there_too(place: Place) -> None:
    place.file().parent.mkdir(parents=True)
    place.file().symlink_to("nowhere")
    assert main(["init", "--root", str(place.root)]) == 2
    assert place.file().is_symlink()


def test_a_dash_prints_the_file_and_writes_nothing(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["init", "--root", str(place.root), "--output", "-"]) == 0
    printed = tmp_path / "shop.toml"
    printed.write_text(capsys.readouterr().out)
    assert filled_in(printed).name == "shop"
    assert not place.root.exists()


def test_another_file_and_another_name_may_be_asked_for(place: Place) -> None:
    assert main(["init", "store", "--root", str(place.root), "--output", "x/store.toml"]) == 0
    assert filled_in(place.directory / "x/store.toml").name == "store"
    assert os.listdir(place.directory / "x") == ["store.toml"]


def test_a_name_that_no_app_can_have_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "My Shop", "--root", str(place.root)]) == 2
    assert "bluegreen init my-shop" in capsys.readouterr().err
    assert not place.root.exists()


def test_json_is_one_document(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.init({"requirements.txt": "", "app.py": ""}, "--json")
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["file"] == str(place.file())
    assert document["text"] == place.file().read_text()
    assert {"where": "requirements.txt", "what": "a Python project"} in document["found"]


def test_the_installed_command_works_in_a_git_repository(place: Place) -> None:
    subprocess.run(["git", "init", "-q", str(place.directory)], check=True, timeout=60)
    shop = place.init({"requirements.txt": "", "app.py": "", ".env": "PORT=7001"})
    assert shop.source.git == str(place.directory)
    assert shop.services["web"].ports == SlotPorts(blue=7001, green=7101)


@pytest.fixture
def fresh_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, dict[str, str]], Path]:
    """Makes a directory of that name with those files and goes there; returns a root beside it."""
    count = 0

    def make(name: str, files: dict[str, str]) -> Path:
        nonlocal count
        count += 1
        directory = tmp_path / str(count) / name
        directory.mkdir(parents=True)
        write(directory, files)
        monkeypatch.chdir(directory)
        return tmp_path / str(count) / "root of it"

    return make


ODD_NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=ODD_NAMES.filter(lambda name: name != "root of it"), part=ODD_NAMES)
def test_directories_of_any_name_give_a_valid_file(
    fresh_directory: Callable[[str, dict[str, str]], Path], name: str, part: str
) -> None:
    files = {
        f"{part}/package.json": '{"scripts": {"start": "node x.js"}}',
        **{f"{part}/{file}": "" for file in ("main.py", "requirements.txt", "a.db")},
        f"{part}/{part}.sqlite": "",
    }
    root = fresh_directory(name, files)
    assert main(["init", "--root", str(root), "--json"]) == 0
    (file,) = (root / "etc/bluegreen/apps").iterdir()
    filled_in(file)


def test_what_is_to_be_filled_in_is_to_settle(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.init({"readme": "nothing that starts"}, "--json")
    document = json.loads(capsys.readouterr().out)
    lines = document["text"].splitlines()
    wanted = [number for number, line in enumerate(lines, 1) if "TO FILL IN" in line]
    assert len(wanted) == 3
    told = [entry for entry in document["to_settle"] if "TO FILL IN" in entry]
    assert [int(entry.split()[1].rstrip(":")) for entry in told] == wanted
