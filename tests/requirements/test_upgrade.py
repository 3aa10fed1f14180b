"""Which rules a deploy crosses, and what is said where it may not cross them."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from bluegreen.config.settings import AppSettings
from bluegreen.requirements.upgrade import UNVERSIONED, Upgrade

AUDIT = "new audit_logs table"
TO_22 = {"to": ">=2.2", "from": "<2.2", "breaking": AUDIT}
BY_WAY = {"to": ">=3", "from": "<2.5", "via": "2.5"}
EARLIER = {"to": ">=2.3", "from": "<2", "via": "v2.0"}
MINORS = st.integers(0, 40).map(lambda number: f"{number // 10}.{number % 10}")


def upgrade(
    active: str | None, version: str, *rules: dict[str, Any], ack: tuple[str, ...] = (), **keys: Any
) -> Upgrade:
    settings = AppSettings.model_validate(
        {
            "app": {"name": "shop"},
            "source": {"git": "https://example.org/shop.git"},
            "services": {"api": {"command": "api"}},
            "upgrade": rules,
            **keys,
        }
    )
    return Upgrade(settings=settings, active=active, version=version, acknowledged=ack)


@pytest.mark.parametrize(
    ("active", "version", "crossed"),
    [
        ("2.1", "2.2", True),
        ("v2.1.7", "v3.0", True),
        ("2.1", "2.2.0-rc.1", True),  # it has what is new in 2.2 already …
        ("2.2.0-rc.1", "2.2.0", False),  # … so that nobody is asked twice
        ("2.2", "2.3", False),
        ("2.3", "2.1", False),
        ("2.0", "2.1", False),
        (None, "2.2", False),
    ],
)
def test_a_rule_is_crossed_from_its_from_to_its_to(
    active: str | None, version: str, crossed: bool
) -> None:
    one = upgrade(active, version, TO_22)
    assert [rule.breaking for rule in one.crossed] == [AUDIT] * crossed
    assert bool(one.unmet()) is crossed


@given(MINORS, MINORS, MINORS)
def test_a_rule_without_from_is_crossed_where_its_versions_begin(
    border: str, active: str, version: str
) -> None:
    one = upgrade(active, version, {"to": f">={border}", "breaking": AUDIT})
    assert bool(one.crossed) is (Version(active) < Version(border) <= Version(version))


def test_what_breaks_is_refused_until_its_text_is_acknowledged() -> None:
    (error,) = upgrade("2.1", "v2.2", TO_22).unmet()
    assert "v2.2 breaks with 2.1" in error.message
    assert error.detail == (AUDIT,)
    typed = shlex.split(error.remedy.partition("then: ")[2])
    assert typed == ["bluegreen", "deploy", "shop", "v2.2", "--ack", AUDIT]
    assert upgrade("2.1", "v2.2", TO_22, ack=("something",)).unmet()
    given = upgrade("2.1", "v2.2", TO_22, ack=(AUDIT, "something"))
    assert given.unmet() == []
    assert given.acknowledgements == [AUDIT]
    assert given.idle_acknowledgements == ["something"]


def test_all_that_breaks_on_the_way_is_named_at_once() -> None:
    other = {"to": ">=2.4", "breaking": "tokens end"}
    (error,) = upgrade("2.1", "2.4", TO_22, other, ack=(AUDIT,)).unmet()
    assert error.detail == ("tokens end",)
    assert error.remedy.count("--ack") == 2


def test_a_version_that_may_not_be_skipped_is_refused_with_the_path() -> None:
    (error,) = upgrade("1.4", "v3.1", BY_WAY, EARLIER, TO_22).unmet()
    assert "from 1.4 to v3.1 is by v2.0, then 2.5" in error.message
    assert error.remedy.endswith("; --force goes past it")
    *_, path = error.remedy.partition(";")[0].partition(": ")
    assert path.split(", then ") == [
        "bluegreen deploy shop v2.0", "bluegreen deploy shop 2.5", "bluegreen deploy shop v3.1",
    ]  # fmt: skip


@given(MINORS, MINORS, MINORS)
def test_every_leg_of_a_path_may_be_deployed(stop: str, active: str, version: str) -> None:
    rules = (
        {"to": f">{stop}", "from": f"<{stop}", "via": stop},
        {"to": ">2.5", "from": "<2.5", "via": "2.5"},
    )
    at, legs = active, 0
    while errors := upgrade(at, version, *rules).unmet():
        (error,) = errors
        at = shlex.split(error.remedy.partition(": ")[2])[3].rstrip(",;")
        legs += 1
        assert legs <= len(rules)
        assert Version(active) < Version(at) < Version(version)


def test_the_release_that_serves_has_to_be_one_of_upgrade_from() -> None:
    wanted = {"upgrade_from": ">=2.1"}
    assert upgrade("2.1", "2.2", requires=wanted).unmet() == []
    assert upgrade("v2.1.0-rc.2", "2.2", requires=wanted).unmet() == []
    assert upgrade(None, "2.2", requires=wanted).unmet() == []
    (error,) = upgrade("2.0.9", "2.2", requires=wanted).unmet()
    assert "from >=2.1, and 2.0.9 serves" in error.message
    assert error.remedy.startswith(
        "deploy a release of >=2.1 with --force, then: bluegreen deploy shop 2.2; or"
    )
    assert error.remedy.endswith("bluegreen deploy shop 2.2 --force")
    (error,) = upgrade("main", "2.2", requires=wanted).unmet()
    assert "main has no version" in error.message
    assert error.detail == ("an upgrade is from >=2.1",)
    assert upgrade("main", "2.2", requires=wanted, ack=(UNVERSIONED,)).unmet() == []


def test_an_older_release_than_may_be_deployed_is_refused() -> None:
    wanted = {"versions": ">=2.1"}
    assert upgrade("3.0", "2.1", requires=wanted).unmet() == []
    assert upgrade(None, "v2.1.0-rc.1", requires=wanted).unmet() == []
    older = upgrade("2.2", "2.0.9", requires=wanted)
    (error,) = older.unmet()
    assert "2.0.9 is none of the versions that may be deployed, >=2.1; 2.2 serves" in error.message
    assert error.remedy.endswith("bluegreen deploy shop 2.0.9 --force")
    forced = replace(older, forced=True)
    assert (forced.unmet(), len(forced.passed())) == ([], 1)
    (error,) = upgrade(None, "main", requires=wanted).unmet()
    assert error.detail == ("what may be deployed is >=2.1",)
    assert upgrade(None, "main", requires=wanted, ack=(UNVERSIONED,)).unmet() == []


def test_force_goes_past_versions_on_the_way_and_past_nothing_else() -> None:
    rules = (BY_WAY, {"to": ">=3", "breaking": AUDIT})
    one = upgrade("1.4", "v3.1", *rules, requires={"upgrade_from": ">=2.1"})
    assert one.passed() == []
    forced = replace(one, forced=True)
    assert list(map(str, forced.passed())) == list(map(str, one.unmet()))
    (error,) = forced.unmet()
    assert error.detail == (AUDIT,)
    assert error.remedy.endswith(f"bluegreen deploy shop v3.1 --ack '{AUDIT}' --force")
    both = replace(forced, acknowledged=(AUDIT,))
    assert (both.unmet(), len(both.passed())) == ([], 2)
    (unversioned,) = replace(forced, active="main").unmet()
    assert "main has no version" in unversioned.message


@pytest.mark.parametrize(("active", "version"), [("2.1", "main"), ("0a1b2c3", "2.2")])
def test_a_release_without_a_version_needs_to_be_acknowledged_as_such(
    active: str, version: str
) -> None:
    (error,) = upgrade(active, version, TO_22, BY_WAY if version == "main" else TO_22).unmet()
    named = "main" if version == "main" else "0a1b2c3"
    assert f"{named} has no version" in error.message
    assert AUDIT in error.detail[0]
    assert error.remedy.endswith(f"bluegreen deploy shop {version} --ack {UNVERSIONED}")
    given = upgrade(active, version, TO_22, ack=(UNVERSIONED,))
    assert given.unmet() == []
    assert given.acknowledgements == [UNVERSIONED]


def test_a_branch_is_deployed_as_ever_where_no_rule_could_be_crossed() -> None:
    assert upgrade("2.3", "main", TO_22).unmet() == []  # whatever main is: 2.3 is past the rule
    assert upgrade("main", "2.1", TO_22).unmet() == []
    assert upgrade("main", "main", {"to": ">=2", "env": {"A": "1"}}).unmet() == []
    assert upgrade(None, "main", TO_22).unmet() == []
