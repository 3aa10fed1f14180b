from __future__ import annotations

import shlex
import subprocess
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluegreen.config.versions import LONGEST, check_version
from bluegreen.errors import UsageError


@pytest.mark.parametrize(
    "version",
    ["v1", "1.2.3", "main", "feature/x-1", "release+7", "v2@beta", "0a1b2c3", "a" * LONGEST],
)
def test_tags_branches_and_commits_are_versions(version: str) -> None:
    assert check_version(version) == version


@pytest.mark.parametrize(
    "version",
    [
        "", "-x", "--upload-pack=touch /tmp/x", ".hidden", "/abs", "a..b", "../up", "a/../b", "a/",
        "a//b", "a.", "a.lock", "a.lock/b", "a/.git", "HEAD~1", "HEAD^", "a:b", "@", "a@{1}",
        "a b", "a\nb", "a\n", "v1\0", "ä", "a*", "a?", "a[", "a\\b", "$(id)", "a;b", "{version}",
        "a" * (LONGEST + 1),
    ],
)  # fmt: skip
def test_whatever_git_a_path_or_a_shell_could_read_otherwise_is_refused(version: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_version(version)
    assert len(caught.value.message) < 120
    assert "\n" not in caught.value.message


@given(st.one_of(st.text(), st.text(alphabet="ab01._/+@-{~^:", max_size=12)))
def test_a_version_is_safe_wherever_it_is_used(version: str) -> None:
    try:
        assert check_version(version) == version
    except UsageError:
        return
    path = PurePosixPath("/srv") / version
    assert path.is_relative_to("/srv")
    assert str(path) == f"/srv/{version}"
    assert not {"..", "."} & set(path.parts)
    assert not version.startswith("-")
    assert shlex.split(f"x {version}") == ["x", version]


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab1._/+@-", min_size=1, max_size=10))
def test_git_takes_every_version_as_the_name_of_a_ref(version: str) -> None:
    try:
        check_version(version)
    except UsageError:
        return
    # A part that ends in a dot is the one thing that git's own rule leaves to the file system.
    subprocess.run(["git", "check-ref-format", "--allow-onelevel", version], check=True, timeout=10)
