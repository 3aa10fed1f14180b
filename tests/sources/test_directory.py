"""Releases from directories."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluegreen.errors import BluegreenError, ConfigError, SourceError, UsageError
from bluegreen.sources import survey
from bluegreen.sources.directory import DirectorySource
from bluegreen.sources.interruptible import Stop, StoppedError
from tests.sources.repositories import files_in


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """/…/releases with v1 and v2."""
    for version in ("v1", "v2"):
        directory = tmp_path / "releases" / version
        (directory / "bin").mkdir(parents=True)
        (directory / "app.py").write_text(version)
        (directory / "bin/run").write_text("#!/bin/sh\n")
        (directory / "bin/run").chmod(0o755)
        (directory / "latest").symlink_to("bin/run")
        (directory / "empty").mkdir()
    return tmp_path / "releases"


def source_in(releases: Path, template: str = "{version}") -> DirectorySource:
    return DirectorySource("shop", f"{releases}/{template}", timeout=30)


async def test_files_modes_times_and_links_are_copied(releases: Path, tmp_path: Path) -> None:
    os.utime(releases / "v1/app.py", ns=(10**18, 10**18))
    (releases / "v1/bin").chmod(0o555)
    source = source_in(releases)
    release = await source.resolve("v1")
    assert (release.version, release.commit) == ("v1", None)
    assert release.origin == str(releases / "v1")
    tree = tmp_path / "trees/1-blue"
    await source.lay_out(release, tree)
    assert files_in(tree) == {"app.py": "v1", "bin/run": "#!/bin/sh\n", "latest": "#!/bin/sh\n"}
    assert os.access(tree / "bin/run", os.X_OK)
    assert os.readlink(tree / "latest") == "bin/run"
    assert (tree / "app.py").stat().st_mtime_ns == 10**18
    assert (tree / "empty").is_dir()
    assert os.access(tree / "bin", os.W_OK)
    assert (tree / "bin").stat().st_mode & 0o700 == 0o700


async def test_special_permission_bits_are_dropped(releases: Path, tmp_path: Path) -> None:
    (releases / "v1/bin/run").chmod(0o6755)
    source = source_in(releases)
    await source.lay_out(await source.resolve("v1"), tmp_path / "tree")
    assert stat.S_IMODE((tmp_path / "tree/bin/run").stat().st_mode) == 0o755


async def test_a_missing_version_is_refused_with_the_nearest_names(releases: Path) -> None:
    with pytest.raises(SourceError, match="there is no directory") as refused:
        await source_in(releases).resolve("v11")
    assert "v1" in refused.value.detail[0]


async def test_names_are_found_where_the_version_is_a_part_of_the_name(releases: Path) -> None:
    (releases / "app-3.0.d/dist").mkdir(parents=True)
    source = source_in(releases, "app-{version}.d/dist")
    assert (await source.resolve("3.0")).origin == str(releases / "app-3.0.d/dist")
    with pytest.raises(SourceError) as refused:
        await source.resolve("3.1")
    assert refused.value.detail == ("versions that are there: 3.0",)


@pytest.mark.parametrize("version", ["..", "../x", "/etc", "a/../../b", "", "a\0b", "-x"])
async def test_versions_that_are_paths_elsewhere_are_refused(releases: Path, version: str) -> None:
    with pytest.raises(UsageError):
        await source_in(releases).resolve(version)


async def test_a_version_that_is_a_link_within_the_releases_is_followed(releases: Path) -> None:
    (releases / "current").symlink_to("v2")
    assert (await source_in(releases).resolve("current")).origin == str(releases / "v2")


async def test_a_version_that_leads_out_of_the_releases_is_refused(
    releases: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (releases / "v3").symlink_to("../elsewhere")
    (releases / "self").symlink_to(".")
    for version in ("v3", "self"):
        with pytest.raises(SourceError, match="leads out"):
            await source_in(releases).resolve(version)


def test_another_placeholder_than_the_version_is_refused(releases: Path) -> None:
    with pytest.raises(ConfigError):
        source_in(releases, "{slot}")


async def test_one_directory_for_all_versions_is_used_with_a_warning(releases: Path) -> None:
    release = await source_in(releases, "v1").resolve("anything")
    assert "only a name" in release.warnings[0]


def _pipe(release: Path) -> None:
    os.mkfifo(release / "pipe")


def _socket(release: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        descriptor = os.open(release, os.O_RDONLY | os.O_DIRECTORY)
        listener.bind(f"/proc/self/fd/{descriptor}/socket")  # the real path may be too long
        os.close(descriptor)


def _link_to(target: str) -> Callable[[Path], None]:
    return lambda release: (release / "out").symlink_to(target)


def _link_through_a_link(release: Path) -> None:
    (release / "bin/deep").mkdir()
    (release / "shortcut").symlink_to("bin/deep")
    (release / "out").symlink_to("shortcut/../../../v2/app.py")


@pytest.mark.parametrize(
    "spoil",
    [_pipe, _socket, _link_to("/etc/passwd"), _link_to("../v2/app.py"), _link_to("../../x"),
     _link_through_a_link],
)  # fmt: skip
async def test_what_does_not_belong_in_a_release_is_refused(
    releases: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(releases / "v1")
    source = source_in(releases)
    with pytest.raises(SourceError, match=r"device|leads out"):
        await source.lay_out(await source.resolve("v1"), tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


async def test_a_link_that_is_switched_between_check_and_use_is_noticed(
    releases: Path, tmp_path: Path
) -> None:
    (releases / "current").symlink_to("v1")
    source = source_in(releases)
    release = await source.resolve("current")
    (releases / "current").unlink()
    (releases / "current").symlink_to("v2")
    with pytest.raises(SourceError, match="changed while"):
        await source.lay_out(release, tmp_path / "tree")


def _grow(release: Path) -> None:
    with (release / "app.py").open("a") as file:
        file.write("more")


def _touch(release: Path) -> None:
    os.utime(release / "app.py", ns=(1, 1))


def _vanish(release: Path) -> None:
    (release / "app.py").unlink()


def _become_a_link(release: Path) -> None:
    _vanish(release)
    (release / "app.py").symlink_to("bin/run")


def _become_a_pipe(release: Path) -> None:
    _vanish(release)
    os.mkfifo(release / "app.py")


@pytest.mark.parametrize("change", [_grow, _touch, _vanish, _become_a_link, _become_a_pipe])
def test_a_file_that_changes_after_the_survey_is_noticed(
    releases: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    entries = survey.survey(releases / "v1", Stop())
    change(releases / "v1")
    with pytest.raises(SourceError):
        survey.copy(releases / "v1", entries, tmp_path / "tree", Stop())


async def test_a_file_that_appears_while_copying_is_noticed(
    releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = survey.copy

    def copy_and_add(*arguments: object) -> None:
        copy(*arguments)  # type: ignore[arg-type]
        (releases / "v1/late").touch()

    monkeypatch.setattr(survey, "copy", copy_and_add)
    source = source_in(releases)
    with pytest.raises(SourceError, match="changed while"):
        await source.lay_out(await source.resolve("v1"), tmp_path / "tree")


async def test_a_release_that_does_not_fit_is_refused_before_anything_is_written(
    releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluegreen.sources.directory.free_bytes", lambda _: 100)
    source = source_in(releases)
    with pytest.raises(SourceError, match="no room"):
        await source.lay_out(await source.resolve("v1"), tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


async def test_the_fingerprint_changes_with_the_content_and_is_none_without_one(
    releases: Path,
) -> None:
    source = source_in(releases)
    before = await source.fingerprint("v1")
    assert before == await source.fingerprint("v1")
    _grow(releases / "v1")
    assert before != await source.fingerprint("v1")
    assert await source.fingerprint("v9") is None


def test_a_copy_that_nobody_waits_for_stops(releases: Path, tmp_path: Path) -> None:
    stop = Stop()
    entries = survey.survey(releases / "v1", stop)
    stop.set()
    with pytest.raises(StoppedError):
        survey.copy(releases / "v1", entries, tmp_path / "tree", stop)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(version=st.text(alphabet="v12/.\\~$`'\"{} \n\0-", max_size=10))
async def test_no_version_leads_out_of_the_releases(releases: Path, version: str) -> None:
    try:
        release = await source_in(releases).resolve(version)
    except BluegreenError:
        return
    assert Path(release.origin).is_relative_to(releases)
    assert Path(release.origin) != releases
