"""``[promote]``: when releases may begin, whether a person lets them on, and in which steps."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import PositiveDuration, within
from bluegreen.config.windows import Window, Windows, parse_window
from bluegreen.words import seconds

LONGEST_STEPS = 7 * 86400.0  # seconds


def _windows(value: Any) -> Any:
    if isinstance(value, str):
        return (parse_window(value),)
    if isinstance(value, list | tuple) and value:
        return tuple(one if isinstance(one, Window) else parse_window(one) for one in value)
    raise ValueError('a window, such as "Mon-Thu 09:00-16:00", or a list of them')


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueRefusedError(
            f"this host knows no time zone {value!r}",
            'Write one of its names, such as "Europe/Berlin" or "UTC"; without it, it is the '
            "host's own",
        ) from error
    return value


Percent = Annotated[int, Field(strict=True), within(1, 99)]


def _rising(steps: tuple[int, ...]) -> tuple[int, ...]:
    if list(steps) != sorted(set(steps)):
        raise ValueRefusedError(
            "each step has to be larger than the one before",
            "Write percents of clients in their order, such as [5, 25, 50]",
        )
    return steps


class Promote(Section):
    """``[promote]``: the way of a release that has passed its gate to all of the traffic.

    ``window`` is when automatic releases may begin; a person's always may. ``steps`` are percents
    of all clients.
    """

    mode: Literal["automatic", "manual"] = "automatic"
    deadline: PositiveDuration = 86400.0  # for a person, where one is waited for
    steps: Annotated[tuple[Percent, ...], AfterValidator(_rising)] = ()  # of clients
    pause: PositiveDuration = 60.0  # that each step is watched
    sticky: Literal["cookie", "address"] = "cookie"  # what tells clients apart
    window: Annotated[tuple[Window, ...], BeforeValidator(_windows)] | None = None
    zone: Annotated[str, AfterValidator(_zone)] | None = None  # None: the host's

    @model_validator(mode="after")
    def _zone_of_something(self) -> Promote:
        if self.zone is not None and self.window is None:
            raise ValueRefusedError(
                "it names a time zone, and no window",
                'Say when automatic releases may begin, such as window = "Mon-Thu 09:00-16:00"',
            )
        return self

    @field_validator("pause")
    @classmethod
    def _steps_that_end(cls, pause: float, info: ValidationInfo) -> float:
        steps = len(info.data.get("steps", ()))
        if steps * pause > LONGEST_STEPS:
            raise ValueRefusedError(
                f"{steps} steps of {seconds(pause)} take longer than "
                f"{LONGEST_STEPS / 86400:g} days, for which clients are remembered",
                f"Write at most {LONGEST_STEPS / steps // 60:.0f}m, or fewer steps",
            )
        return pause

    @property
    def windows(self) -> Windows | None:
        """None: they may begin at any time."""
        if self.window is None:
            return None
        return Windows(self.window, None if self.zone is None else ZoneInfo(self.zone))
