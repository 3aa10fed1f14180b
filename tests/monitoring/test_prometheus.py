"""The dashboard and the alerts of deploy/: they are valid, and of figures that there are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import CHECKOUT, read

ALERTS = CHECKOUT / "deploy/prometheus/alerts.yml"
ALERTS_TEST = Path(__file__).with_name("alerts_test.yml")
DASHBOARD = CHECKOUT / "deploy/grafana/bluegreen.json"
_NAME = re.compile(r"\bbluegreen_[a-z_]+\b")
_OF_A_HISTOGRAM = re.compile("_(bucket|sum|count)$")
# What docs/metrics.md describes, which is held against the page itself.
KNOWN = frozenset(re.findall(r"^\| `(bluegreen_[a-z_]+)` \|", read("metrics.md"), re.MULTILINE))


def promtool(*arguments: str | Path) -> None:
    ended = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def queries(dashboard: Any) -> Iterator[str]:
    """Of all panels and annotations, as Prometheus would be asked."""
    asked = [target for panel in dashboard["panels"] for target in panel.get("targets", ())]
    for one in [*asked, *dashboard["annotations"]["list"]]:
        yield one["expr"].replace("$__rate_interval", "1m").replace("$app", ".*")


def test_the_alerts_say_what_their_tests_expect() -> None:
    promtool("check", "rules", ALERTS)
    promtool("test", "rules", ALERTS_TEST)
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    tried = set(re.findall(r"alertname: (\w+)\n +exp_alerts", ALERTS_TEST.read_text()))
    assert tried == alerts
    promtool("check", "config", "--syntax-only", ALERTS.with_name("prometheus.yml"))


def test_every_query_of_the_dashboard_is_one(tmp_path: Path) -> None:
    rules = [
        {"record": f"query{number}", "expr": query}
        for number, query in enumerate(queries(json.loads(DASHBOARD.read_text())))
    ]
    file = tmp_path / "rules.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "--lint=none", file)


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD], ids=lambda file: file.name)
def test_every_figure_that_is_asked_for_exists(file: Path) -> None:
    asked = {_OF_A_HISTOGRAM.sub("", name) for name in _NAME.findall(file.read_text())}
    assert asked
    assert asked <= KNOWN


def test_the_panels_of_the_dashboard_do_not_cover_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + line)
            for column in range(place["w"])
            for line in range(place["h"])
        }
        assert max(column for column, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
