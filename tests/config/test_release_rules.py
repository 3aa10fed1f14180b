"""``[requires]`` and ``[[upgrade]]`` in an app file."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from bluegreen.config.load import load_app
from bluegreen.config.release_rules import UpgradeRule, variable_defaults
from tests.config.samples import problems_of, small_app, write

FULL = """
[requires]
commands = { python3 = ">=3.8", node = ">=18,<23" }
sqlite = ">=3.35"
free_disk = "1GiB"
memory = "512MiB"
env = ["JWT_SECRET"]
upgrade_from = ">=2.1"

[[upgrade]]
to = ">=2.2"
from = "<2.2"
breaking = "new audit_logs table"
env = { AUDIT_RETENTION_DAYS = "90", AUDIT_DIR = "{shared_dir}/audit" }

[[upgrade]]
to = ">=3"
from = "<2.5"
via = "v2.5"
"""


def rule(to: str, **keys: object) -> UpgradeRule:
    return UpgradeRule.model_validate({"to": to, **keys})


def test_all_keys_become_settings(tmp_path: Path) -> None:
    app = load_app(write(tmp_path, small_app("tiny", 9001, 9101) + FULL, "tiny"))
    assert app.requires.commands == {"python3": ">=3.8", "node": ">=18,<23"}
    assert (app.requires.free_disk, app.requires.memory) == (2**30, 512 * 2**20)
    assert app.requires.env == ("JWT_SECRET",)
    assert [rule.span for rule in app.upgrade] == ["from <2.2 to >=2.2", "from <2.5 to >=3"]
    assert (app.upgrade[0].breaking, app.upgrade[1].via) == ("new audit_logs table", "v2.5")


REFUSALS = [
    ('python3 = ">=3.8"', 'python3 = "3.8"', "requires.commands.python3", '"3.8"', '">=3.8"'),
    ('python3 = ">=3.8"', 'python3 = ""', "requires.commands.python3", "empty", '">=3.8"'),
    ("python3 =", '"../python3" =', "requires.commands.'../python3'", "cannot", "on the PATH"),
    ('sqlite = ">=3.35"', "sqlite = 3", "requires.sqlite", "3 cannot", "in quotes"),
    ('"1GiB"', '"1 GiB"', "requires.free_disk", '"1 GiB"', "a unit of size"),
    ('memory = "512MiB"', 'memory = "0B"', "requires.memory", '"0B"', "greater than 0"),
    ('["JWT_SECRET"]', '["JWT-SECRET"]', "requires.env[0]", "cannot", "a variable's name"),
    ("upgrade_from =", "upgrade_form =", "requires.upgrade_form", "no key", '"upgrade_from"'),
    ('to = ">=2.2"\n', "", "upgrade[0].to", "it is missing", "Add to"),
    ('"<2.2"', '"two"', "upgrade[0].from", '"two"', '">=2.2,<3"'),
    ('"new audit', '" new audit', "upgrade[0].breaking", "cannot", "without blanks around"),
    ('"new audit', '"new\\naudit', "upgrade[0].breaking", "cannot", "one line of text"),
    ('"90"', "90", "upgrade[0].env.AUDIT_RETENTION_DAYS", "this value", "in quotes"),
    ('"90"', '"9\\n0"', "upgrade[0].env.AUDIT_RETENTION_DAYS", "this value", "one line"),
    ("{shared_dir}", "{port}", "upgrade[0].env.AUDIT_DIR", "no placeholder {port}", "Only a"),
    ('"v2.5"', '"main"', "upgrade[1].via", '"main"', 'as it is deployed, such as "2.2"'),
    ('"v2.5"', '"3.1"', "upgrade[1]", "3.1 is one of to", "begin after via"),
    ('"v2.5"', '"2.4"', "upgrade[1]", "2.4 is one of from", "end before via"),
    ('from = "<2.5"\n', "", "upgrade[1]", "v2.5 is one of from", "end before via"),
    ('via = "v2.5"', "", "upgrade[1]", "neither breaking nor env nor via", "Say what"),
]


@pytest.mark.parametrize(("old", "new", "key", "wrong", "right"), REFUSALS)
def test_a_mistake_is_refused_with_what_would_be_right(
    tmp_path: Path, old: str, new: str, key: str, wrong: str, right: str
) -> None:
    assert FULL.count(old) == 1
    text = small_app("shop", 9001, 9101) + FULL.replace(old, new)
    (problem,) = problems_of(tmp_path, text)
    assert problem.key == key, str(problem)
    assert wrong in problem.wrong
    assert right in problem.right
    assert problem.line is not None


def test_a_rule_without_from_begins_wherever_to_does_not_reach() -> None:
    breaking = rule(">=2.2", breaking="x")
    for version, leads in (("2.1", True), ("2.2", False), ("3", False)):
        numbers = rule(f"=={version}", breaking="x")
        assert numbers.leads_to(Version(version))
        assert breaking.leads_from(Version(version)) is leads


def test_defaults_hold_for_every_version_of_to_and_the_later_rule_counts() -> None:
    rules = [
        rule(">=2.2", env={"DAYS": "90", "SIZE": "1"}),
        rule(">=2.4", env={"DAYS": "30"}),
    ]
    assert variable_defaults(rules, "v2.1") == {}
    assert variable_defaults(rules, "v2.2.0-rc.1") == {"DAYS": "90", "SIZE": "1"}
    assert variable_defaults(rules, "2.4") == {"DAYS": "30", "SIZE": "1"}
    assert variable_defaults(rules, "main") == {}
