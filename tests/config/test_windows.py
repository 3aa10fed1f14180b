"""Windows: written by days and times, by the clock on the wall, over changes of that clock too."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.config.load import InvalidConfiguration, load_app
from bluegreen.config.windows import Windows, parse_window

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 11, 30, tzinfo=BERLIN)


def at(text: str, fold: int = 0) -> float:
    """Unix seconds of a time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


def windows(*texts: str) -> Windows:
    return Windows(tuple(map(parse_window, texts)), BERLIN)


@pytest.mark.parametrize(
    ("text", "open_at", "closed_at"),
    [
        ("Mon-Thu 09:00-16:00", ["2026-11-30T09:00", "2026-12-03T15:59"],
         ["2026-11-30T08:59", "2026-11-30T16:00", "2026-12-04T12:00"]),
        ("fri-mon 9:00-16:00", ["2026-11-30T12:00", "2026-12-04T12:00", "2026-12-06T12:00"],
         ["2026-12-01T12:00"]),
        ("Mon,Wed 00:00-24:00", ["2026-11-30T00:00", "2026-11-30T23:59", "2026-12-02T12:00"],
         ["2026-12-01T00:00"]),
        ("Sun 22:00-02:00", ["2026-11-29T22:00", "2026-11-30T01:59"],
         ["2026-11-29T01:00", "2026-11-30T02:00", "2026-11-30T22:00"]),
        ("12:00-13:00", ["2026-11-30T12:00", "2026-12-05T12:59"], ["2026-11-30T13:00"]),
    ],
)  # fmt: skip
def test_it_is_open_from_its_first_minute_to_before_its_last(
    text: str, open_at: list[str], closed_at: list[str]
) -> None:
    window = windows(text)
    assert [time for time in open_at if not window.are_open(at(time))] == []
    assert [time for time in closed_at if window.are_open(at(time))] == []


@pytest.mark.parametrize(
    ("text", "now", "opens"),
    [
        ("Mon-Thu 09:00-16:00", "2026-11-28T12:00", "2026-11-30T09:00"),
        ("Mon-Thu 09:00-16:00", "2026-11-30T08:59", "2026-11-30T09:00"),
        ("Mon 09:00-16:00", "2026-11-30T16:00", "2026-12-07T09:00"),
        ("22:00-02:00", "2026-11-30T02:00", "2026-11-30T22:00"),
        # The clock is set forward from 02:00 to 03:00 on 2026-03-29.
        ("Sun 02:15-02:45", "2026-03-28T12:00", "2026-04-05T02:15"),
        ("Sun 02:30-05:00", "2026-03-29T01:59", "2026-03-29T03:00"),
        ("Sun 03:00-04:00", "2026-03-29T01:59", "2026-03-29T03:00"),
    ],
)
def test_the_next_opening_is_known(text: str, now: str, opens: str) -> None:
    assert windows(text).open_after(at(now)) == at(opens)


def test_an_hour_that_comes_twice_is_in_the_window_twice() -> None:
    window = windows("Sun 02:00-02:30")  # and on 2026-10-25 the clock is set back from 03:00
    assert [window.are_open(at("2026-10-25T02:10", fold)) for fold in (0, 1)] == [True, True]
    assert window.are_open(at("2026-10-25T02:40")) is False
    assert window.open_after(at("2026-10-25T02:40")) == at("2026-10-25T02:00", fold=1)


def test_some_windows_are_open_when_one_of_them_is() -> None:
    some = windows("Mon 09:00-10:00", "Tue 11:00-12:00")
    assert some.are_open(at("2026-12-01T11:30"))
    assert some.open_after(at("2026-11-30T10:00")) == at("2026-12-01T11:00")
    assert some.shown(at("2026-12-01T11:00")) == "Tue 2026-12-01 11:00 CET"
    assert str(some) == "Mon 09:00-10:00, Tue 11:00-12:00 Europe/Berlin"


@given(
    st.floats(min_value=0, max_value=4e9),
    st.sampled_from(["Mon-Thu 09:00-16:00", "22:00-02:00", "Sun 02:00-03:00"]),
    st.sampled_from([None, BERLIN, ZoneInfo("Pacific/Apia"), ZoneInfo("America/St_Johns")]),
)
def test_whatever_the_time_the_next_opening_is_later_and_open(
    now: float, text: str, zone: ZoneInfo | None
) -> None:
    window = Windows((parse_window(text),), zone)
    opens = window.open_after(now)
    assert opens is not None
    assert opens > now
    assert window.are_open(opens)
    assert not window.are_open(opens - 60) or window.are_open(now)


APP = """
[app]
name = "shop"
[source]
git = "/srv/git/shop.git"
[services.web]
command = "./web"
ports = { blue = 9000, green = 9100 }
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('window = "Mon-Thu 9-16"', 'promote.window: "Mon-Thu 9-16" cannot be used here.'),
        ('window = "Mon-Thu 9-16"', 'Write days and times, such as "Mon-Thu 09:00-16:00"'),
        ('window = "Mo-Do 09:00-16:00"', "'Mo' is no day of the week. Write days as Mon, Tue"),
        ('window = "09:00-25:00"', "25:00 is no time of day. Write one from 00:00 to 24:00"),
        ('window = "09:00-09:00"', "09:00-09:00 is no time at all. Write when it opens"),
        ('window = ["Mon 09:00-10:00", "noon"]', "promote.window"),
        ("window = 9", 'Write a window, such as "Mon-Thu 09:00-16:00", or a list of them'),
        ("window = []", 'Write a window, such as "Mon-Thu 09:00-16:00", or a list of them'),
        ('zone = "Mars/Base"\nwindow = "09:00-10:00"', "knows no time zone 'Mars/Base'. Write"),
        ('zone = "UTC"', "promote: it names a time zone, and no window. Say when"),
        ('mode = "by hand"', 'Write "automatic" or "manual"'),
    ],
)
def test_what_is_wrong_with_a_window_is_said_with_its_line(
    tmp_path: Path, line: str, said: str
) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(f"{APP}[promote]\n{line}\n")
    with pytest.raises(InvalidConfiguration) as refused:
        load_app(file)
    (problem,) = map(str, refused.value.problems)
    assert said in problem
    assert f"{file}:" in problem


def test_what_is_wrong_with_the_queue_is_said(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(f'{APP}[queue]\npolicy = "newest"\nlimit = 0\n')
    with pytest.raises(InvalidConfiguration) as refused:
        load_app(file)
    policy, limit = map(str, refused.value.problems)
    assert 'queue.policy: "newest" cannot be used here. Write "latest", "serial"' in policy
    assert "Write a whole number from 1 to 1000" in limit
