"""The sample app's repository and app file."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.demo.appfile import SERVICES, monitor_app_file
from bluegreen.demo.versions import FAULTS, VERSIONS, main, make_repository, version_files
from bluegreen.errors import NotFoundError, SourceError
from bluegreen.model import Slot
from tests.apps.monitor.monitor.release import Fault

PORTS = range(9001, 9009)


def _git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", directory, *arguments], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


def test_every_version_is_a_tag_that_holds_its_files(tmp_path: Path) -> None:
    commits = make_repository(tmp_path / "monitor.git")
    assert list(commits) == list(VERSIONS)
    assert set(_git(tmp_path / "monitor.git", "tag").split()) == set(VERSIONS)
    for name, commit in commits.items():
        assert _git(tmp_path / "monitor.git", "rev-parse", f"{name}^{{commit}}") == commit
        assert _git(tmp_path / "monitor.git", "show", f"{name}:VERSION") == name
        held = _git(tmp_path / "monitor.git", "ls-tree", "-r", "--name-only", name).split()
        assert sorted(held) == sorted(version_files(name))
    assert _git(tmp_path / "monitor.git", "rev-parse", "main") == commits["v2"]
    assert _git(tmp_path / "monitor.git", "rev-parse", "v2^{commit}^") == commits["v1"]
    assert _git(tmp_path / "monitor.git", "fsck", "--strict") == ""


def test_the_repository_is_cloned_by_path_and_by_file_url(tmp_path: Path) -> None:
    repository = tmp_path / "with space" / "monitor.git"
    make_repository(repository)
    for number, address in enumerate((str(repository), repository.as_uri())):
        clone = tmp_path / f"clone{number}"
        _git(tmp_path, "clone", "--quiet", "--", address, str(clone))
        assert (clone / "VERSION").read_text() == "v2\n"


def test_the_commits_are_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_repository(tmp_path / "first")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "somewhere else"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert make_repository(tmp_path / "second") == first
    assert not (tmp_path / "somewhere else").exists()


def test_a_directory_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(SourceError, match="is not empty"):
        make_repository(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["letter"]


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SourceError, match="git init failed") as caught:
        make_repository(tmp_path / "file" / "monitor.git")
    assert caught.value.detail


def test_a_missing_git_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="git init could not run"):
        make_repository(tmp_path / "monitor.git")


def test_an_unknown_version_is_refused_with_those_there_are() -> None:
    with pytest.raises(NotFoundError) as caught:
        version_files("v9")
    assert "v3-unhealthy" in caught.value.remedy


def test_a_version_holds_nothing_that_a_run_by_hand_leaves_behind() -> None:
    allowed = ("VERSION", "FEATURES", "README.md", ".gitignore", "FAULT", "MIGRATIONS")
    for name in VERSIONS:
        for path in version_files(name):
            assert path in allowed or path.startswith(("frontend/", "monitor/"))
            assert "__pycache__" not in path


def test_the_faults_that_versions_have_are_those_the_app_knows() -> None:
    assert list(FAULTS) == [fault.value for fault in Fault]
    assert {version.fault for version in VERSIONS.values()} == {None, *FAULTS}


def test_the_module_run_as_a_program_makes_the_repository(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "monitor.git")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(VERSIONS)
    assert main([str(tmp_path / "monitor.git")]) == 1
    assert "Next: " in capsys.readouterr().err
    assert main([]) == 2


def _settings(text: str) -> AppSettings:
    return AppSettings.model_validate(tomllib.loads(text))


def test_the_app_file_is_valid_and_gives_each_slot_its_ports() -> None:
    text = monitor_app_file(name="mon", source="/srv/monitor.git", ports=PORTS, listen=8080)
    settings = _settings(text)
    assert tuple(settings.services) == SERVICES
    for number, service in enumerate(settings.services.values()):
        for offset, slot in enumerate(Slot):
            address = service.address(slot, Path("/run"))
            assert address is not None
            assert address.port == PORTS[2 * number + offset]
    routes = {route.path: (route.service, route.websocket) for route in settings.routes}
    assert routes == {
        "/": ("web", False),
        "/api/": ("api", False),
        "/ws/monitoring": ("stream", True),
        "/ws/terminal": ("terminal", True),
    }
    assert {probe.service for probe in settings.gate.probes} == set(SERVICES)
    assert settings.app.shared == ("data",)
    assert settings.source.git == "/srv/monitor.git"
    assert settings.gate.healthy_for < settings.gate.deadline


@pytest.mark.parametrize("expect_version", [True, False])
def test_probes_ask_for_the_version_unless_told_not_to(expect_version: bool) -> None:
    settings = _settings(
        monitor_app_file(
            name="mon", source="/m.git", ports=PORTS, listen=8080, expect_version=expect_version
        )
    )
    fields = [probe.http.json_fields for probe in settings.gate.probes if probe.http is not None]
    assert len(fields) == 4
    assert all(("version" in one) is expect_version for one in fields)


def test_the_app_file_takes_fewer_services_a_directory_an_environment_and_more_sections() -> None:
    settings = _settings(
        monitor_app_file(
            name="mon",
            source="/srv/{version}",
            ports=[9001, 9002],
            listen=8080,
            services=["web"],
            env={"MONITOR_CRASH_AFTER": "1.5"},
            switch="reload",
            extra='[keep]\nhot = "1h"\n',
        )
    )
    assert list(settings.services) == ["web"]
    assert settings.source.directory == "/srv/{version}"
    assert settings.env == {"MONITOR_CRASH_AFTER": "1.5"}
    assert settings.build[0].env == {"MONITOR_CACHE": "{cache_dir}"}
    assert settings.nginx.switch == "reload"
    assert settings.keep.hot == 3600


def test_a_python_with_spaces_and_braces_in_its_path_is_one_word() -> None:
    text = monitor_app_file(
        name="mon", source="/m.git", ports=PORTS, listen=8080, python="/a b/{c}/python"
    )
    assert _settings(text).services["api"].command == "'/a b/{{c}}/python' -m monitor.api"


def test_too_few_ports_and_unknown_services_are_refused() -> None:
    with pytest.raises(ValueError, match="two ports for each"):
        monitor_app_file(name="mon", source="/m.git", ports=[9001], listen=8080)
    with pytest.raises(ValueError, match="two ports for each"):
        monitor_app_file(name="m", source="/m.git", ports=PORTS, listen=8080, services=["db"])


def test_the_default_python_is_the_one_that_runs() -> None:
    text = monitor_app_file(name="mon", source="/m.git", ports=PORTS, listen=8080)
    command = _settings(text).services["web"].command
    assert shlex.split(command) == [sys.executable, "-m", "monitor.web"]
