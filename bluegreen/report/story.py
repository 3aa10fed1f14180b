"""What a report tells of an operation, made of the documents of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bluegreen.cli.plain import event_text
from bluegreen.report.charts import Moment
from bluegreen.report.phases import Step, steps
from bluegreen.report.shares import led
from bluegreen.report.watched import Seconds, Total, recorded, totals
from bluegreen.words import seconds

SHOWN_LINES = 25  # of each source of output, the last ones
SHOWN_ANSWER = 300  # characters of what a probe was answered

_RELEASES = ("deploy", "rollback", "restart")
_TONES = {"succeeded": "good", "failed": "bad", "rolled_back": "bad", "interrupted": "bad"}


@dataclass(frozen=True, kw_only=True)
class Documents:
    """What the daemon answered. ``served`` is the version that traffic was on before, if known.

    ``app`` is the app as it is now; None: it is none any more. ``made_at`` is Unix seconds.
    """

    operation: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]
    output: Sequence[Mapping[str, str]]
    served: str | None
    app: Mapping[str, Any] | None
    made_at: float


@dataclass(frozen=True, kw_only=True)
class Output:
    """The end of what one source has written."""

    source: str
    lines: tuple[str, ...]
    left_out: int


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A probe's first answer, or one by which it changed its mind; ``at`` in Unix seconds."""

    at: float
    service: str
    probe: str
    passed: bool
    answer: str


@dataclass(frozen=True, kw_only=True)
class Story:
    """All that is on the page."""

    title: str
    outcome: str  # "switched back"
    tone: str  # "good", "bad" or "neutral"
    sentence: str
    facts: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]
    error: Mapping[str, Any] | None
    notes: tuple[str, ...]
    seen: tuple[Seconds, ...]
    totals: tuple[Total, ...]
    versions: Mapping[str, str]  # by slot, while it went on
    moments: tuple[Moment, ...]
    probes: tuple[Probe, ...]
    way_back: tuple[str, ...]
    output: tuple[Output, ...]
    began: float
    took: float


class _Teller:
    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self.operation = documents.operation
        self.version = self.operation["version"] or ""
        self.moved, self.went_back = self._moves()
        self.led = led(documents.events)

    def _moves(self) -> tuple[float | None, float | None]:
        """When traffic was moved, and when back, in Unix seconds."""
        states = {
            event["data"]["state"]: event["at"]
            for event in self.documents.events
            if event["kind"] == "phase" and event["data"]["phase"] == "switch"
        }
        return states.get("done"), states.get("undone")

    @property
    def before(self) -> str:
        """What served before, in words."""
        served, slot = self.documents.served, self.operation["from_slot"]
        if slot is None:
            return "nothing"
        return f"{served} in {slot}" if served else f"what was in {slot}"

    def _share_of_visitors(self) -> tuple[int, str]:
        """How many percent it had in steps at the most, and for how long it had some, in words."""
        begun = [step for step in self.led if step.percent]
        ends = [step.at for step in self.led if not step.percent]
        end = ends[-1] if ends else self.moved or self.operation["finished_at"]
        return max(step.percent for step in begun), seconds(end - begun[0].at)

    def _are_led_back(self) -> bool:
        """Whether those who had it in steps were back by its end: a marker may not go away."""
        steps = (phase["state"] for phase in self.operation["phases"] if phase["phase"] == "steps")
        return "undone" in steps or not self.led[-1].percent

    def moments(self) -> list[Moment]:
        found = [Moment(at=step.at, says=step.says) for step in self.led]
        if self.moved is not None:
            found.append(Moment(at=self.moved, says=f"switched to {self.operation['slot']}"))
            if self.went_back is not None:
                found.append(Moment(at=self.went_back, says="switched back"))
        return found

    def sentence(self) -> str:
        kind, state, slot = (self.operation[name] for name in ("kind", "state", "slot"))
        if kind == "switch" and state == "succeeded":
            start = self.operation["from_slot"] or "nothing"
            return f"Visitors were moved from {start} to {self.version} in {slot}."
        if kind not in _RELEASES:
            return f"The {kind} {_PAST[state]}."
        if state == "succeeded":
            first = self.operation["from_slot"] is None
            how = "as the first release" if first else f"in the place of {self.before}"
            return f"{self.version} was put into service in {slot}, {how}."
        if self.moved is not None and self.went_back is not None:
            for_ = seconds(self.went_back - self.moved)
            return (
                f"{self.version} had the visitors for {for_}; then they were switched back to "
                f"{self.before}."
            )
        if self.moved is not None:
            return f"{self.version} got the visitors, and then the {kind} {_PAST[state]}."
        if self.led:
            percent, for_ = self._share_of_visitors()
            then = f"the {kind} {_PAST[state]}"
            if self._are_led_back():
                then = f"all were back on {self.before}"
            return f"{self.version} had up to {percent} % of the visitors for {for_}; then {then}."
        if self.operation["from_slot"] is None:
            return f"{self.version} was not put into service: no visitor met it."
        return f"{self.version} was not put into service: {self.before} served throughout."

    def title(self) -> str:
        served, version = self.documents.served, self.version
        if self.operation["kind"] in _RELEASES and served and served != version:
            return f"{self.operation['app']}: {served} → {version}"
        what = " ".join(filter(None, (self.operation["kind"], version)))
        return f"{self.operation['app']}: {what}"

    def facts(self, began: float, took: float) -> list[tuple[str, str]]:
        operation = self.operation
        facts = [
            ("Operation", f"{operation['id']}, {operation['kind']}"),
            ("Asked by", operation["requested_by"]),
            ("Took", seconds(took)),
        ]
        if began > operation["created_at"]:
            facts.append(("Waited before", seconds(began - operation["created_at"])))
        if operation["slot"]:
            start, end = operation["from_slot"] or "none", operation["slot"]
            facts.append(("Slot", end) if start == end else ("Slots", f"{start} → {end}"))
        if operation["commit"]:
            facts.append(("Commit", operation["commit"][:16]))
        if operation["acknowledged"]:
            facts.append(("Acknowledged", "; ".join(operation["acknowledged"])))
        if operation["forced"]:
            facts.append(("Forced", "past the versions that the app file lets in"))
        if operation["backup"] is not None:
            facts.append(("With the data of", f"backup {operation['backup']}"))
        return facts

    def way_back(self) -> list[str]:
        """What going back meant, or would mean now."""
        operation, said = self.operation, []
        if operation["kind"] not in _RELEASES:
            return []
        if self.moved is not None and self.went_back is not None:
            said.append(
                f"Visitors were moved to {operation['slot']} and, "
                f"{seconds(self.went_back - self.moved)} later, back to {self.before}. Requests "
                "that were under way at either moment ended where they had begun."
            )
            said += self._data_undone()
        elif self.moved is None and self.led:
            percent, for_ = self._share_of_visitors()
            then = f"and, {for_} later, back to {self.before}"
            if not self._are_led_back():
                then = "and not led back before it ended"
            said.append(
                f"Up to {percent} % of the visitors were led to {operation['slot']} {then}."
            )
            said += self._data_undone()
        elif self.moved is None:
            said.append("There was nothing to go back from: visitors were never moved.")
            said += self._data_undone()
        return [*said, *self._now()]

    def _now(self) -> list[str]:
        """Of a release that was put into service: whether it serves, and what going back means."""
        app, slot = self.documents.app, self.operation["slot"]
        if app is None or self.moved is None or self.went_back is not None:
            return []
        held = app["slots"][slot]
        if app["active"] != slot:
            serves = app["slots"].get(app["active"], {}).get("version") or "nothing"
            return [f"As this report was made, {serves} served in its place."]
        if held["operation"] != self.operation["id"]:
            return ["As this report was made, another release had taken its place."]
        return [f"As this report was made, a switch back was: {app['switch_back']['says']}."]

    def _data_undone(self) -> list[str]:
        phases = {phase["phase"]: phase for phase in self.operation["phases"]}
        migrated = phases.get("migrate")
        if applied := phases.get("gate", {"data": {}})["data"].get("applied"):
            return [f"The data were migrated as it started: {', '.join(map(str, applied))}."]
        if migrated is None or "skipped" in migrated["data"]:
            return ["The data were not touched by migrations."]
        if migrated["state"] == "undone":
            return ["Its migrations of the data were undone, too."]
        return ["Its migrations of the data stay as they are."]


_PAST = {
    "succeeded": "succeeded", "failed": "failed", "rolled_back": "was switched back",
    "cancelled": "was cancelled", "superseded": "was superseded by another one",
    "interrupted": "was interrupted, as the daemon ended",
}  # fmt: skip


def tell(documents: Documents) -> Story:
    """The story of an operation that has ended."""
    operation, events = documents.operation, documents.events
    teller = _Teller(documents)
    began = operation["begun_at"] or operation["created_at"]
    took = max(0.0, operation["finished_at"] - began)
    versions = {operation["slot"]: teller.version, operation["from_slot"]: documents.served or ""}
    return Story(
        title=teller.title(),
        outcome=operation["state"].replace("_", " ").replace("rolled back", "switched back"),
        tone=_TONES.get(operation["state"], "neutral"),
        sentence=teller.sentence(),
        facts=tuple(teller.facts(began, took)),
        steps=tuple(steps(operation, events)),
        error=operation["error"],
        notes=tuple(_notes(events)),
        seen=tuple(recorded(events)),
        totals=tuple(totals(events)),
        versions={slot: version for slot, version in versions.items() if slot},
        moments=tuple(teller.moments()),
        probes=tuple(_probes(events)),
        way_back=tuple(teller.way_back()),
        output=tuple(_outputs(documents.output)),
        began=began,
        took=took,
    )


def _notes(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Warnings, and services that ended."""
    noted = (dict(event) for event in events if event["kind"] in ("warning", "service"))
    return [text.strip() for event in noted if (text := event_text(event)) is not None]


def _probes(events: Sequence[Mapping[str, Any]]) -> list[Probe]:
    return [
        Probe(
            at=event["at"], service=event["data"]["service"], probe=event["data"]["probe"],
            passed=event["data"]["passed"], answer=_cut(event["data"]["answer"]),
        )
        for event in events
        if event["kind"] == "probe"
    ]  # fmt: skip


def _cut(answer: str) -> str:
    return answer if len(answer) <= SHOWN_ANSWER else f"{answer[: SHOWN_ANSWER - 1]}…"


def _outputs(lines: Sequence[Mapping[str, str]]) -> list[Output]:
    """By source, in the order in which each begins; why it failed is told elsewhere."""
    by_source: dict[str, list[str]] = {}
    for line in lines:
        if line["source"] != "outcome":
            by_source.setdefault(line["source"], []).append(line["line"])
    return [
        Output(
            source=source, lines=tuple(found[-SHOWN_LINES:]),
            left_out=max(0, len(found) - SHOWN_LINES),
        )
        for source, found in by_source.items()
    ]  # fmt: skip
