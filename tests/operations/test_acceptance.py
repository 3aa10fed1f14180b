"""What is kept of an accepted configuration, for the start at which its files are broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import load_all
from bluegreen.layout import Layout
from bluegreen.model import Slot
from bluegreen.operations import acceptance
from tests.config.samples import small_app


def nothing_runs(app: str, slot: Slot) -> bool:
    return False


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.app_files.mkdir(parents=True)
    for number, name in enumerate(("blog", "shop")):
        text = small_app(name, 9083 + number, 9183 + number, nginx=f'listen = ["{8080 + number}"]')
        (layout.app_files / f"{name}.toml").write_text(f"# café\r\n{text}", newline="")
    layout.daemon_file.write_text("[limits]\nbuilds = 3\n")
    return layout


def test_what_was_checked_is_kept_and_not_what_came_after_it(layout: Layout) -> None:
    checked = load_all(layout)
    files = [layout.daemon_file, *layout.app_files.iterdir()]
    before = {path.relative_to(layout.config): path.read_bytes() for path in files}
    for path in files:
        path.write_text("nonsense")
    acceptance.keep(layout, checked)
    kept = acceptance.AcceptedLayout(layout.root).config
    assert {path: (kept / path).read_bytes() for path in before} == before
    in_force = acceptance.load(layout, nothing_runs)
    assert in_force.configuration == checked
    assert len(in_force.problems) == 3


def test_what_is_gone_is_no_longer_kept(layout: Layout) -> None:
    acceptance.keep(layout, load_all(layout))
    layout.daemon_file.unlink()
    (layout.app_files / "blog.toml").unlink()
    acceptance.keep(layout, load_all(layout))
    (layout.app_files / "shop.toml").write_text("nonsense")
    in_force = acceptance.load(layout, nothing_runs)
    assert list(in_force.configuration.apps) == ["shop"]
    assert in_force.configuration.daemon.limits.builds != 3
