"""Server-sent events, line by line."""

from __future__ import annotations

from bluegreen.client.events import EventLines


def test_an_event_is_whole_at_its_empty_line_and_its_id_is_remembered() -> None:
    parsed = EventLines()
    assert [parsed.take(line) for line in ("id: 7", "event: phase", 'data: {"a": ": "}')] == [
        None
    ] * 3
    assert parsed.last == "0"
    assert parsed.take("") == ("phase", {"a": ": "})
    assert parsed.last == "7"


def test_a_sign_of_life_is_no_event() -> None:
    parsed = EventLines("7")
    assert [parsed.take(line) for line in (": still running", "")] == [None, None]
    assert parsed.last == "7"


def test_an_event_without_an_id_does_not_move_the_place_to_go_on_from() -> None:
    parsed = EventLines("7")
    parsed.take("event: end")
    parsed.take("data: {}")
    assert (parsed.take(""), parsed.last) == (("end", {}), "7")
