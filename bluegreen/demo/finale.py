"""How it ended: the chart, the tables, the times of the switches, and whether all held."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from bluegreen.demo.account import Account, switch_times
from bluegreen.demo.chart import requests_chart
from bluegreen.demo.report import Report
from bluegreen.demo.summary import print_summary
from bluegreen.demo.timeline import Mark, duration

TITLE = "bluegreen demo: requests answered by each slot"


@dataclass(kw_only=True)
class Finale:
    """What the visitors saw and what was expected. ``chart`` is where the SVG was written."""

    report: Report
    account: Account
    chart: Path | None = None

    @property
    def held(self) -> bool:
        """Every expectation came true, and nobody was let down."""
        return not self.account.not_held and self.report.failed == 0

    def show(self, console: Console) -> None:
        """The chart, what was done when, how the visitors fared, how long switches took."""
        print_summary(console, self.report, self._marks)
        times = switch_times(self.account.switch_seconds)
        if times is not None:
            console.print(
                Text(
                    f"{times.count} instant switches, as the API times them: "
                    f"median {duration(times.median)}, p99 {duration(times.p99)}, "
                    f"slowest {duration(times.slowest)}"
                )
            )

    def svg(self) -> str:
        return requests_chart(self.report, self._marks, title=TITLE)

    @property
    def _marks(self) -> list[Mark]:
        """Those from the time when there was this load."""
        began = self.report.started_at
        ended = began + self.report.seconds
        return [mark for mark in self.account.marks if began <= mark.at <= ended]

    def verdict(self) -> list[str]:
        """The last lines: whether all held, and if not, what did not."""
        failed, not_held = self.report.failed, self.account.not_held
        total = self.account.held + len(not_held)
        if self.held:
            return [f"All held: {total} of {total} expectations came true, 0 failures."]
        return [
            f"NOT all held: {len(not_held)} of {total} expectations did not come true, "
            f"{failed} failure{'s' * (failed != 1)}.",
            *(f"  {text}" for text in not_held),
            "Look into it with: bluegreen demo --keep",
        ]

    def document(self) -> dict[str, Any]:
        """The result for ``--json``; times in seconds."""
        report = self.report
        times = switch_times(self.account.switch_seconds)
        return {
            "held": self.held,
            "expectations": self.account.held + len(self.account.not_held),
            "not_held": list(self.account.not_held),
            "failures": report.failed,
            "requests": report.requests,
            "failed_requests": report.failed_requests,
            "websockets": report.websockets,
            "websockets_cut": report.websockets_cut,
            "downloads": report.downloads_done,
            "downloads_broken": report.downloads_broken,
            "served": [
                {"slot": each.slot, "version": each.version, "requests": each.total}
                for each in report.series
            ],
            "switch_seconds": None if times is None else asdict(times),
            "chart": None if self.chart is None else str(self.chart),
        }
