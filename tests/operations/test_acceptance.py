"""What is kept of an accepted configuration, for the start at which its files are broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import load_all
from bluegreen.layout import Layout
from bluegreen.model import Slot, SlotRecord, SlotState
from bluegreen.operations import acceptance
from tests.config.samples import small_app


def nothing_runs(app: str, slot: Slot) -> SlotRecord:
    return SlotRecord(app=app, slot=slot)


def blue_runs(*services: str) -> acceptance.Holds:
    """blue was started with ``services``."""

    def holds(app: str, slot: Slot) -> SlotRecord:
        state = SlotState.HOT if slot is Slot.BLUE else SlotState.COLD
        return SlotRecord(
            app=app, slot=slot, state=state, version="v1", services=dict.fromkeys(services, 1)
        )

    return holds


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
    assert kept.stat().st_mode & 0o777 == 0o700
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


WORKER = '[services.worker]\ncommand = "work"\n'


def renamed(layout: Layout, old: str, new: str) -> None:
    """In shop's file."""
    file = layout.app_files / "shop.toml"
    text = file.read_text().replace(f"services.{old}", f"services.{new}")
    file.write_text(text.replace(f'service = "{old}"', f'service = "{new}"'))


@pytest.mark.parametrize("started", [("web", "worker"), ("web",), ()], ids=str)
def test_a_service_that_requests_go_to_is_not_taken_away_while_it_runs(
    layout: Layout, started: tuple[str, ...]
) -> None:
    old = load_all(layout).apps
    renamed(layout, "web", "main")
    (problem,) = acceptance.refusals(old, load_all(layout), layout, blue_runs(*started))
    assert (problem.file.name, problem.key) == ("shop.toml", "services.web")
    assert problem.wrong == "web of shop runs, and is gone"
    assert "bluegreen stop shop" in problem.right
    assert acceptance.refusals(old, load_all(layout), layout, nothing_runs) == []


def test_a_worker_and_what_was_never_started_may_go(layout: Layout) -> None:
    file = layout.app_files / "shop.toml"
    text = file.read_text()
    file.write_text(text + WORKER + WORKER.replace("worker", "new") + PORTS)
    old = load_all(layout).apps
    file.write_text(text)
    assert acceptance.refusals(old, load_all(layout), layout, blue_runs("web", "worker")) == []


PORTS = "ports = { blue = 9985, green = 9986 }\n"
