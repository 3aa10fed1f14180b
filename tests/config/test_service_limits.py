"""``limits``, ``sandbox`` and ``ready`` of a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import load_app
from tests.config.samples import SHOP, problems_of

API = "[services.api]\n"


def test_limits_are_in_bytes_and_percent(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    limits = 'limits = { memory = "512MiB", cpu = "150%", tasks = 100, open_files = 4096 }\n'
    file.write_text(SHOP.replace(API, f'{API}{limits}sandbox = "off"\n'))
    api = load_app(file).services["api"]
    assert (api.limits.memory, api.limits.cpu) == (512 * 2**20, 150)
    assert (api.limits.tasks, api.limits.open_files) == (100, 4096)
    assert api.sandbox == "off"


def test_without_them_there_is_no_limit_and_a_sandbox(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP)
    api = load_app(file).services["api"]
    assert api.limits.model_dump() == {
        "memory": None, "cpu": None, "tasks": None, "open_files": None,
    }  # fmt: skip
    assert api.sandbox == "strict"
    assert load_app(file).ready_within("api") is None


def test_one_that_says_when_it_is_ready_has_the_gates_time_for_it(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP.replace(API, f'{API}ready = "notify"\n'))
    settings = load_app(file)
    assert settings.ready_within("api") == settings.gate.deadline


@pytest.mark.parametrize(
    ("line", "key", "right"),
    [
        ('limits = { cpu = "50" }', "services.api.limits.cpu", 'percent of one CPU: "50%"'),
        ('limits = { cpu = "0%" }', "services.api.limits.cpu", ""),
        ("limits = { cpu = 50 }", "services.api.limits.cpu", "percent of one CPU"),
        ("limits = { cpu = 50.5 }", "services.api.limits.cpu", "percent of one CPU"),
        ('limits = { memory = "512 potatoes" }', "services.api.limits.memory", ""),
        ("limits = { tasks = 0 }", "services.api.limits.tasks", ""),
        ("limits = { open_files = 3 }", "services.api.limits.open_files", ""),
        ("limits = { task = 3 }", "services.api.limits.task", '"tasks"'),
        ('ready = "yes"', "services.api.ready", '"notify"'),
        ('sandbox = "on"', "services.api.sandbox", '"strict"'),
    ],
)
def test_a_wrong_limit_is_refused_with_its_place(
    tmp_path: Path, line: str, key: str, right: str
) -> None:
    (problem,) = problems_of(tmp_path, SHOP.replace(API, f"{API}{line}\n"))
    assert problem.key == key
    assert problem.line == SHOP[: SHOP.index(API)].count("\n") + 2
    assert right in problem.right
