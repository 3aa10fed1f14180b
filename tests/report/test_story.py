"""What a report tells, made of documents."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

import pytest

from bluegreen.report.charts import charts
from bluegreen.report.story import SHOWN_LINES, Documents, tell
from bluegreen.words import clock
from tests.report.documents import BACK, BEGAN, ERROR, SWITCHED, documents, led, promoted


def of(**changed: Any) -> Documents:
    given = documents()
    return replace(given, operation={**given.operation, **changed})


def without_moves(given: Documents) -> Documents:
    return replace(
        given, events=[one for one in given.events if one["data"].get("phase") != "switch"]
    )


def test_a_release_that_was_switched_back_is_told_with_times_counts_and_reasons() -> None:
    story = tell(documents())
    assert story.title == "shop: v1 → v2"
    assert (story.outcome, story.tone) == ("switched back", "bad")
    assert story.sentence == (
        "v2 had the visitors for 3.5 s; then they were switched back to v1 in blue."
    )
    assert dict(story.facts)["Waited before"] == "3.0 s"
    assert dict(story.facts)["Acknowledged"] == "a new table"
    assert story.error == ERROR
    assert [moment.at for moment in story.moments] == [SWITCHED, BACK]
    totals = {total.slot: (total.requests, total.failed) for total in story.totals}
    assert totals == {"blue": (600, 0), "green": (800, 48)}
    assert [probe.passed for probe in story.probes] == [True, False]
    assert story.notes == ("warning: the disk is nearly full",)
    (output,) = story.output
    assert (len(output.lines), output.left_out) == (SHOWN_LINES, 40 - SHOWN_LINES)
    assert "The data were not touched by migrations." in story.way_back


def test_each_phase_lies_where_it_was_and_so_does_its_undoing() -> None:
    found = {step.name: step for step in tell(documents()).steps}
    assert [step.name for step in found.values() if step.failed] == ["watch"]
    (build,) = found["build"].bars
    assert (round(build.start, 1), round(build.width, 1)) == (1.2, 23.8)
    done, undone = found["start"].bars
    assert (done.kind, undone.kind) == ("done", "undo")
    assert round(undone.start + undone.width, 3) == 100
    assert found["start"].ended == "done, later undone"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {"state": "failed"},
            "v2 was not put into service: v1 in blue served throughout.",
        ),
        (
            {"state": "failed", "from_slot": None},
            "v2 was not put into service: no visitor met it.",
        ),
        ({"state": "succeeded"}, "v2 was put into service in green, in the place of v1 in blue."),
        (
            {"kind": "switch", "state": "succeeded"},
            "Visitors were moved from blue to v2 in green.",
        ),
        ({"kind": "backup", "state": "failed"}, "The backup failed."),
        ({"state": "interrupted"}, "v2 was not put into service: v1 in blue served throughout."),
    ],
)
def test_every_end_has_its_sentence(changed: dict[str, Any], sentence: str) -> None:
    assert tell(without_moves(of(**changed))).sentence == sentence


def test_steps_are_told_with_their_percents_and_when_each_began() -> None:
    given = documents()
    events = led((2.5, 10), (3.0, 10), (3.5, 60), (5.5, 0))
    steps = {"phase": "steps", "began": BEGAN + 2.4, "seconds": 2.0, "data": {}, "state": "undone"}
    operation = {**given.operation, "phases": [*given.operation["phases"], steps]}
    switched = replace(given, operation=operation, events=[*events[:3], *given.events])
    told = tell(switched)
    (note,) = (step.note for step in told.steps if step.name == "steps")
    assert note == f"10 % to green at {clock(BEGAN + 2.5)}, 60 % to green at {clock(BEGAN + 3.5)}"
    said = ["10 % to green", "60 % to green", "switched to green", "switched back"]
    assert [moment.says for moment in told.moments] == said
    drawn = charts(told.seen, told.moments)
    assert drawn is not None
    rows = re.findall(
        r'y="([\d.]+)"[^>]*class="moment-says"|class="moment-says"[^>]*y="([\d.]+)"', drawn
    )
    heights = [float(one or other) for one, other in rows]
    assert len(set(heights)) == 4, "none is written over another"
    assert min(heights) > 10

    # A daemon was killed between the first clients and what was to be said of them.
    unsaid = without_moves(replace(switched, events=[*led((5.5, 0)), *given.events]))
    assert tell(unsaid).sentence == "v2 was not put into service: v1 in blue served throughout."

    back = without_moves(replace(switched, events=[*events, *given.events]))
    told = tell(back)
    assert told.sentence == (
        "v2 had up to 60 % of the visitors for 3.0 s; then all were back on v1 in blue."
    )
    assert told.moments[-1].says == "all back"
    assert told.way_back[0] == (
        "Up to 60 % of the visitors were led to green and, 3.0 s later, back to v1 in blue."
    )


def test_who_was_not_led_back_from_a_step_is_not_said_to_be() -> None:
    given = documents()
    for state, sentence, back in (
        ("failed", "then the deploy was cancelled.", "and not led back before it ended."),
        # As by an operator's switch, of which the operation itself says nothing.
        ("undone", "then all were back on v1 in blue.", "and, 5.0 s later, back to v1 in blue."),
    ):
        steps = {"phase": "steps", "began": BEGAN + 2.4, "seconds": 2, "data": {}, "state": state}
        phases = [*given.operation["phases"], steps]
        operation = {**given.operation, "phases": phases, "state": "cancelled"}
        events = [*led((3.0, 10)), *given.events]
        told = tell(without_moves(replace(given, operation=operation, events=events)))
        assert told.sentence == f"v2 had up to 10 % of the visitors for 5.0 s; {sentence}"
        assert told.way_back[0] == f"Up to 10 % of the visitors were led to green {back}"


def test_who_let_a_release_go_on_is_told_with_when() -> None:
    given = documents()
    waits: list[dict[str, Any]] = [
        {"phase": name, "began": BEGAN + 2.2, "seconds": 1.0, "data": {}, "state": "done"}
        for name in ("promote", "steps")
    ]
    operation = {**given.operation, "phases": [*given.operation["phases"], *waits]}
    events = [promoted(2.4, "promote"), *led((2.5, 10)), promoted(3.5, "steps")]
    told = tell(replace(given, operation=operation, events=[*events, *given.events]))
    assert [step.note for step in told.steps if step.name in ("promote", "steps")] == [
        f"promoted by uid 1000 (alice) at {clock(BEGAN + 2.4)}",
        f"10 % to green at {clock(BEGAN + 2.5)}, "
        f"promoted by uid 1000 (alice) at {clock(BEGAN + 3.5)}",
    ]


def test_the_charts_are_drawn_of_what_was_seen() -> None:
    story = tell(documents())
    drawn = charts(story.seen, story.moments)
    assert drawn is not None
    tree = ElementTree.fromstring(drawn)
    lines = [path.get("class") for path in tree.iter("path") if "line" in (path.get("class") or "")]
    assert lines.count("line blue") == 2, "its requests and their times: none of them failed"
    assert lines.count("line green") == 3
    said = "".join(tree.itertext())
    assert "switched to green" in said
    assert "switched back" in said
    assert charts(story.seen[:1], ()) is None
