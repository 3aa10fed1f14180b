from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from bluegreen.config.version_numbers import fits, fits_release, version_number

PARTS = st.lists(st.integers(0, 999), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("tag", "number"),
    [
        ("v2.4.0", "2.4.0"),
        ("2.4", "2.4"),
        ("v2", "2"),
        ("2.4.0-rc.1", "2.4.0rc1"),
        ("v2.4.0-beta.3", "2.4.0b3"),
        ("2.4.0+build.5", "2.4.0+build.5"),
        ("2026.01.28", "2026.1.28"),
    ],
)
def test_a_tag_has_the_version_that_it_names(tag: str, number: str) -> None:
    assert version_number(tag) == Version(number)


@pytest.mark.parametrize(
    "name", ["main", "release/2.4", "shop-2.4.0", "2.x", "latest", "2024-01-05", "v2.4-hotfix", ""]
)
def test_another_name_has_no_version(name: str) -> None:
    assert version_number(name) is None


@given(st.text(string.hexdigits, min_size=7, max_size=64))
def test_what_may_be_a_commit_is_never_taken_for_a_version(commit: str) -> None:
    assert version_number(commit) is None


@given(PARTS, st.sampled_from(["", "v"]), st.integers(0, 99))
def test_a_pre_release_is_before_its_release_and_counts_as_it_where_rules_are_crossed(
    parts: list[int], prefix: str, number: int
) -> None:
    name = ".".join(map(str, parts)) + ".0"
    release, before = version_number(prefix + name), version_number(f"{prefix}{name}-rc.{number}")
    assert release is not None
    assert before is not None
    assert before < release
    assert not fits(f">={name}", before)
    assert fits_release(f">={name}", before)
    assert not fits_release(f"<{name}", before)


@given(PARTS, PARTS)
def test_a_version_fits_exactly_one_side_of_another(left: list[int], right: list[int]) -> None:
    one, other = Version(".".join(map(str, left))), ".".join(map(str, right))
    assert fits_release(f">={other}", one) != fits_release(f"<{other}", one)
