"""docs/upgrade-guide.md: every section of the checklist, and what stands beside it."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from bluegreen.cli.parser import parse
from bluegreen.config.load import load_app
from tests.docs.pages import DOCS, blocks, read, rows, sections

PAGE = "upgrade-guide.md"
# The sections of the checklist that the page goes through, in its order.
CHECKLIST = (
    "Before You Upgrade", "Pre-Upgrade Checklist", "Upgrade Methods",
    "Method 1: Git Pull (Recommended)", "Method 2: Download Release",
    "Method 3: In-Place Script (Production)", "Version-Specific Upgrades", "v2.3.x → v2.4.0",
    "v2.2.x → v2.3.0", "v2.1.x → v2.2.0", "Database Migrations", "Check for Pending Migrations",
    "Run Migrations", "Manual Migration (if script fails)", "Skip Migration (dangerous!)",
    "Rollback Procedures", "Rollback from Backup", "Rollback to Previous Git Version",
    "Rollback Migration Only", "Emergency Rollback (systemd)", "Testing After Upgrade",
    "Smoke Test Checklist", "Full Test Suite", "Downtime Minimization", "Blue-Green Deployment",
    "Rolling Restart (Multi-Instance)", "Upgrade Automation", "Automated Upgrade Script",
    "Troubleshooting Upgrades", '"Migration failed: syntax error"',
    '"Module not found" after upgrade', '"Database locked" during migration',
    "Frontend build fails", '"JWT token invalid" after upgrade', "Resources",
)  # fmt: skip
ITEMS = ("the checklist", "bluegreen")
# Which chapters only hold others.
_CHAPTERS = {
    "Before You Upgrade", "Upgrade Methods", "Version-Specific Upgrades", "Database Migrations",
    "Rollback Procedures", "Testing After Upgrade", "Downtime Minimization", "Upgrade Automation",
    "Troubleshooting Upgrades",
}  # fmt: skip
# Named in a sentence without what they need to be typed, to talk of the command as such.
_BARE = {"bluegreen plan", "bluegreen deploy"}


def _command_lines() -> list[str]:
    """Every ``bluegreen …`` in the page's prose and blocks, but those that are only talked of."""
    text = read(PAGE)
    found = re.findall(r"`(?:sudo )?(bluegreen [^`]+)`", text)
    found += re.findall(r"^(?: *ssh \S+ )?(bluegreen .*?)(?: \|\| break)?$", text, re.MULTILINE)
    return sorted(set(found) - _BARE)


def test_every_section_of_the_checklist_is_there_in_its_order() -> None:
    there = [heading for heading in sections(read(PAGE)) if heading in CHECKLIST]
    assert tuple(there) == CHECKLIST


@pytest.mark.parametrize("heading", [one for one in CHECKLIST if one not in _CHAPTERS])
def test_every_section_says_what_stands_beside_each_item(heading: str) -> None:
    head, *items = rows(sections(read(PAGE))[heading])
    assert tuple(head) == ITEMS
    assert items
    assert all(len(cells) == 2 and all(cells) for cells in items)


@pytest.mark.parametrize("line", _command_lines())
def test_every_command_can_be_typed(line: str) -> None:
    parse(shlex.split(line)[1:])


def test_the_app_file_is_accepted_and_has_a_step_for_each_that_is_named(tmp_path: Path) -> None:
    (block,) = (one for one in blocks("toml") if one.page == DOCS / PAGE)
    file = tmp_path / "server-monitor.toml"
    file.write_text(block.text)
    settings = load_app(file)
    ports = sorted(one.ports.blue for one in settings.services.values() if one.ports)
    assert ports == [9081, 9083, 9084, 9085]
    steps = {step["name"] for step in tomllib.loads(block.text)["gate"]["smoke"]}
    named = set(re.findall(r"[Ss]tep `([a-z-]+)`", read(PAGE)))
    assert named <= steps


def test_every_table_of_an_app_file_that_is_named_is_in_this_one() -> None:
    (block,) = (one for one in blocks("toml") if one.page == DOCS / PAGE)
    document = tomllib.loads(block.text)
    for name in set(re.findall(r"`\[+([a-z.]+)\]+`", read(PAGE))):
        value = document
        for part in name.split("."):
            assert part in value, name
            value = value[part]
