"""Windows of time: on which days of the week, from when to when by the clock on the wall."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bluegreen.config.refusal import ValueRefusedError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MINUTES = 24 * 60  # of a day
_LOOK_AHEAD = 15  # days: each window opens once a week, but for a day that lacks its hour
_WANTED = (
    'days and times, such as "Mon-Thu 09:00-16:00", "Sat,Sun 22:00-02:00" or, for every day, '
    '"09:00-16:00"'
)
_WINDOW = re.compile(r"(?:(?P<days>\S+)\s+)?(?P<start>\d\d?:\d\d)-(?P<end>\d\d?:\d\d)")


@dataclass(frozen=True, kw_only=True)
class Window:
    """``days`` are 0 (Monday) to 6; ``start`` and ``end`` are minutes of such a day.

    ``end`` is past 24:00 where the window ends on the day after.
    """

    days: frozenset[int]
    start: int
    end: int
    text: str

    def holds(self, wall: datetime) -> bool:
        """Whether it is open when the clock on the wall shows that."""
        minute = wall.hour * 60 + wall.minute
        today, yesterday = wall.weekday(), (wall.weekday() - 1) % 7
        return (today in self.days and self.start <= minute < self.end) or (
            yesterday in self.days and minute + _MINUTES < self.end
        )

    def start_on(self, day: date) -> datetime | None:
        """When it opens on ``day`` by the clock on the wall, if it does."""
        if day.weekday() not in self.days:
            return None
        return datetime.combine(day, time(self.start // 60, self.start % 60))


@dataclass(frozen=True)
class Windows:
    """Some windows by the clock of ``zone``; None: by the host's. Times are Unix seconds."""

    windows: tuple[Window, ...]
    zone: ZoneInfo | None

    def are_open(self, at: float) -> bool:
        wall = self._wall(at)
        return any(window.holds(wall) for window in self.windows)

    def open_after(self, at: float) -> float | None:
        """When the next one opens after ``at``; None: in the next two weeks none does."""
        return min((one for one in self._openings(at) if one > at), default=None)

    def shown(self, at: float) -> str:
        """``Mon 2026-11-30 09:00 CET``: for people."""
        aware = datetime.fromtimestamp(at, UTC).astimezone(self.zone)
        return f"{DAYS[aware.weekday()]} {aware:%Y-%m-%d %H:%M %Z}"

    def __str__(self) -> str:
        zone = "" if self.zone is None else f" {self.zone.key}"
        return ", ".join(window.text for window in self.windows) + zone

    def _wall(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC).astimezone(self.zone).replace(tzinfo=None)

    def _openings(self, at: float) -> Iterator[float]:
        today = self._wall(at).date()
        for window in self.windows:
            for ahead in range(_LOOK_AHEAD):
                wall = window.start_on(today + timedelta(days=ahead))
                if wall is not None:
                    yield from self._moments(wall)

    def _moments(self, wall: datetime) -> Iterator[float]:
        """When the clock shows ``wall``: twice where it is set back over that.

        Where it is set forward over it, as soon as a window is open after that.
        """
        first, second = (wall.replace(fold=fold, tzinfo=self.zone).timestamp() for fold in (0, 1))
        if second >= first:
            yield from {first, second}
            return
        # PEP 495: what the clock never shows is told by the offsets of after and before.
        minutes = (second + minute for minute in range(0, int(first - second), 60))
        yield from itertools.islice(filter(self.are_open, minutes), 1)


def parse_window(value: Any) -> Window:
    """The window that ``"Mon-Thu 09:00-16:00"`` names.

    Raises ValueError (what would be right), ValueRefusedError.
    """
    match = _WINDOW.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(_WANTED)
    start, end = _minute(match["start"]), _minute(match["end"])
    if start in (end, _MINUTES):
        raise ValueRefusedError(
            f"{match['start']}-{match['end']} is no time at all"
            if start == end
            else "24:00 begins no window",
            'Write when it opens and when it closes, such as "09:00-16:00"; "00:00-24:00" is a '
            "whole day",
        )
    days = frozenset(range(7)) if match["days"] is None else _days(match["days"])
    text = " ".join(value.split())
    return Window(days=days, start=start, end=end if end > start else end + _MINUTES, text=text)


def _minute(text: str) -> int:
    hours, minutes = (int(part) for part in text.split(":"))
    if hours > 24 or minutes > 59 or (hours == 24 and minutes):
        raise ValueRefusedError(
            f"{text} is no time of day", "Write one from 00:00 to 24:00, such as 09:00"
        )
    return hours * 60 + minutes


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        numbers = [_day(name) for name in ((first, last) if dash else (first,))]
        count = (numbers[-1] - numbers[0]) % 7 + 1
        found |= {(numbers[0] + ahead) % 7 for ahead in range(count)}
    return frozenset(found)


def _day(name: str) -> int:
    if name.capitalize() not in DAYS:
        raise ValueRefusedError(
            f"{name!r} is no day of the week",
            f'Write days as {", ".join(DAYS)}: one, a span ("Mon-Thu") or some ("Mon,Wed")',
        )
    return DAYS.index(name.capitalize())
