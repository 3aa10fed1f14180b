"""``[keep]``: for how long the old slot stays, and what is under way there."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import Duration, parse_duration

LONGEST_DRAIN = 24 * 3600.0  # seconds


def _forever(value: Any) -> Any:
    if value is None or value == "forever":
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f'{error}; or "forever"') from error


def _bearable(seconds: float) -> float:
    if seconds > LONGEST_DRAIN:
        raise ValueRefusedError(
            f"no release waits for more than {LONGEST_DRAIN / 3600:g} hours",
            'Write how long a WebSocket or a download may keep the next release, such as "5m"',
        )
    return seconds


class Keep(Section):
    """``[keep]``: ``hot`` is how long the old slot stays running; None for ever.

    ``drain_timeout`` is how long what is under way there may take before it is stopped.
    """

    hot: Annotated[float | None, BeforeValidator(_forever)] = 86400.0
    drain_timeout: Annotated[Duration, AfterValidator(_bearable)] = 30.0
