"""The charts, drawn from made-up reports."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree

import pytest
from rich.console import Console

from bluegreen.axes import ticks
from bluegreen.demo.chart import MARKS_LISTED, requests_chart
from bluegreen.demo.report import (
    Client,
    Failure,
    FailureCount,
    FailureKind,
    Latency,
    Report,
    Series,
)
from bluegreen.demo.summary import ROWS, chart_lines, print_summary
from bluegreen.demo.timeline import Mark, duration, failures_after, timeline
from bluegreen.model import Slot

SVG = "{http://www.w3.org/2000/svg}"
BEGAN = 1_700_000_000.0
DEPLOY = Mark(at=BEGAN + 1.0, label="deploy <v2>", slot=Slot.GREEN, took=2.25)
BACK = Mark(at=BEGAN + 2.0, label="switch back", slot=Slot.BLUE, took=0.0031)


def report(
    *, failures: tuple[Failure, ...] = (), series: tuple[Series, ...] | None = None
) -> Report:
    """Three seconds: blue, green for the middle one, blue again, 1,000 requests a second."""
    blue = Series(slot="blue", version="v1", counts=(100,) * 10 + (0,) * 10 + (100,) * 10 + (3,))
    green = Series(slot="green", version="v2", counts=(0,) * 10 + (100,) * 10 + (0,) * 11)
    return Report(
        started_at=BEGAN,
        seconds=3.05,
        bucket=0.1,
        connections=64,
        websockets=20,
        downloads=10,
        requests=3003,
        latency=Latency(median=0.0011, p90=0.002, p99=0.004, p999=0.005, slowest=0.25),
        series=(blue, green) if series is None else series,
        connections_opened=64,
        websockets_opened=20,
        messages=240,
        downloads_done=7,
        failures=failures,
        failure_counts=tuple(
            FailureCount(client=each.client, kind=each.kind, count=1) for each in failures
        ),
    )


CLOSED = Failure(at=2.4, client=Client.POST, kind=FailureKind.CLOSED, reason="it was closed")


def printed(seen: Report, marks: tuple[Mark, ...], *, terminal: bool) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=100, legacy_windows=False)
    print_summary(console, seen, marks)
    return output.getvalue()


def words(svg: str) -> str:
    return " | ".join(each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text"))


def test_a_timeline_has_requests_a_second_by_slot_and_leaves_out_the_last_part() -> None:
    line = timeline(report(), columns=15)
    assert line.columns == 15
    assert line.column == pytest.approx(0.2)
    assert line.top == pytest.approx(1000)
    assert [band.slot for band in line.bands] == ["blue", "green"]
    assert line.bands[0].rates[4:6] == pytest.approx((1000, 0))
    assert line.bands[1].rates[4:6] == pytest.approx((0, 1000))


def test_versions_of_one_slot_have_shades_of_their_own() -> None:
    series = tuple(
        Series(slot=slot, version=version, counts=(1,) * 31)
        for slot, version in (("green", "v2"), ("blue", "v1"), ("green", "v3"))
    )
    bands = timeline(report(series=series), columns=10).bands
    assert [(band.slot, band.version, band.shade) for band in bands] == [
        ("blue", "v1", 0),
        ("green", "v2", 0),
        ("green", "v3", 1),
    ]


def test_failures_are_counted_from_one_mark_to_the_next() -> None:
    seen = report(failures=(CLOSED,))
    assert failures_after(seen, [BACK, DEPLOY]) == [0, 1]


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (0, [0]),
        (7, [0, 2, 4, 6]),
        (1000, [0, 200, 400, 600, 800, 1000]),
        (0.25, [0, 0.05, 0.1, 0.15, 0.2, 0.25]),
    ],
)
def test_ticks_are_round_numbers(top: float, expected: list[float]) -> None:
    assert ticks(top) == pytest.approx(expected)


def test_ticks_are_never_too_many() -> None:
    for top in (0.001, 0.9, 1, 3.3, 9.99, 60, 61, 179.9, 4321, 99_999, 1e6):
        assert 2 <= len(ticks(top)) <= 7


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.00084, "0.84 ms"), (0.0123, "12 ms"), (0.34, "340 ms"), (12.34, "12.3 s")],
)
def test_durations_are_short(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_the_svg_is_well_formed_and_says_what_happened() -> None:
    svg = requests_chart(report(), [DEPLOY, BACK], title="Deploys & switches")
    said = words(svg)
    assert "Deploys & switches" in said
    assert "3,003 requests, 0 failed" in said
    assert "blue: v1" in said
    assert "green: v2" in said
    assert "requests per second" in said
    assert "1. 1.0 s: deploy <v2> → green (2.2 s)" in said
    assert "2. 2.0 s: switch back → blue (3.1 ms)" in said
    assert "href" not in svg


def test_the_svg_shows_failures_in_red_and_only_then() -> None:
    assert "#dc2626" not in requests_chart(report(), title="t")
    failed = requests_chart(report(failures=(CLOSED,)), title="t")
    assert "#dc2626" in failed
    assert "red: 1 failure (1 closed)" in words(failed)


def test_the_svg_sums_up_many_switches() -> None:
    marks = [
        Mark(at=BEGAN + index / 40, label="switch", slot=Slot.BLUE, took=0.001 * (index + 1))
        for index in range(MARKS_LISTED + 1)
    ]
    assert "31 switches: median 16 ms, slowest 31 ms" in words(
        requests_chart(report(), marks, title="t")
    )


def test_a_load_without_an_answer_still_makes_a_chart() -> None:
    empty = report(series=())
    ElementTree.fromstring(requests_chart(empty, [DEPLOY], title="t"))
    assert len(chart_lines(empty, width=40, blocks=False)) == ROWS + 3
    assert "failed" in printed(empty, (), terminal=False)


def test_in_a_pipe_the_summary_is_ascii_and_shows_the_slots_by_letter() -> None:
    text = printed(report(failures=(CLOSED,)), (DEPLOY, BACK), terminal=False)
    assert text.isascii()
    lines = text.splitlines()
    assert lines[0] == " 1,000/s " + "b" * 10 + "g" * 10 + "b" * 10
    assert lines[ROWS] == " " * 19 + "1" + " " * 9 + "2"
    assert "deploy <v2>" in text
    assert "it was closed" in text


def test_on_a_terminal_the_summary_has_coloured_blocks() -> None:
    text = printed(report(), (DEPLOY,), terminal=True)
    assert "█" in text
    assert "\x1b[34m" in text
    assert "\x1b[32m" in text


def test_every_version_is_named_under_the_chart_however_narrow_it_is() -> None:
    versions = [f"v{number}-of-some-length" for number in range(8)]
    seen = report(
        series=tuple(Series(slot="green", version=each, counts=(9,) * 31) for each in versions)
    )
    lines = [line.plain for line in chart_lines(seen, width=60, blocks=False)]
    assert all(f"gg green: {each}" in "\n".join(lines) for each in versions)
    assert max(len(line.rstrip()) for line in lines) <= 60
