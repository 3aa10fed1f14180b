from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bluegreen.survey.directory import AppDirectory
from bluegreen.survey.repository import find_origin, without_credentials


def git(directory: Path, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(
        ["git", *identity, *arguments], cwd=directory, env=environment, check=True,
        capture_output=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://user:token@example.org/a.git", "https://example.org/a.git"),
        ("https://token@example.org:8443/a.git", "https://example.org:8443/a.git"),
        ("ssh://git:secret@example.org/a.git", "ssh://git@example.org/a.git"),
        ("ssh://git@example.org/a.git", "ssh://git@example.org/a.git"),
        ("git@example.org:a.git", "git@example.org:a.git"),
        ("https://example.org/a.git", "https://example.org/a.git"),
    ],
)
def test_credentials_are_left_out(tmp_path: Path, url: str, plain: str) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "remote", "add", "origin", url)
    origin = find_origin(AppDirectory(tmp_path))
    assert origin.git == plain == without_credentials(url)[0]
    assert ("credentials" in origin.remarks[0]) == (url != plain)


def test_without_a_remote_the_repository_itself_is_the_source(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert find_origin(AppDirectory(tmp_path)).git == str(tmp_path)


def test_a_relative_remote_becomes_absolute(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    git(tmp_path / "shop", "init", "-q")
    git(tmp_path / "shop", "remote", "add", "origin", "../shop.git")
    assert find_origin(AppDirectory(tmp_path / "shop")).git == str(tmp_path / "shop.git")


def test_a_worktree_has_the_remote_of_its_repository(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    git(tmp_path / "main", "init", "-q")
    git(tmp_path / "main", "remote", "add", "origin", "https://example.org/a.git")
    git(tmp_path / "main", "commit", "-q", "--allow-empty", "-m", "one")
    git(tmp_path / "main", "worktree", "add", "-q", "../tree")
    assert find_origin(AppDirectory(tmp_path / "tree")).git == "https://example.org/a.git"


def test_a_remote_that_runs_commands_is_refused_unrepeated(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "remote", "add", "origin", "ext::sh -c touch")
    origin = find_origin(AppDirectory(tmp_path))
    assert origin.git is None
    assert "run commands" in origin.remarks[0]
    assert "touch" not in origin.remarks[0]


def test_inside_a_repository_the_operator_is_sent_to_its_top(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "backend").mkdir()
    origin = find_origin(AppDirectory(tmp_path / "backend"))
    assert origin.git is None
    assert f"begins at {tmp_path}" in origin.remarks[0]
