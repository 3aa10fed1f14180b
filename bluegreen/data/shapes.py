"""What a process of the app's user has written, read as nothing but what it may be.

Bounded, of known types, and without a control character: it is shown to operators. Each check
raises TypeError or ValueError.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

from bluegreen.log_tail import printable

LONGEST = 4 * 2**20  # bytes of a document; what Python makes of it is some twenty times as much
_MOST = 2**63  # what SQLite and the API count up to

_T = TypeVar("_T")


def parse(data: bytes) -> Any:
    """The JSON document in ``data``, its texts fit to print. ValueError, also for a long one."""
    if len(data) > LONGEST:
        raise ValueError(f"it has more than {LONGEST} bytes")
    try:
        return _clean(json.loads(data))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {printable(key): _clean(one) for key, one in value.items()}
    return value


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is something else")
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("what is true or false is something else")
    return value


def count(value: Any) -> int:
    """Of rows, bytes, files: a whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a number is something else")
    if not 0 <= value < _MOST:
        raise ValueError("a number is out of its range")
    return value


def instant(value: Any) -> float:
    """Unix seconds."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError("a time is something else")
    if not math.isfinite(value) or abs(value) >= _MOST:
        raise ValueError("a time is out of its range")
    return float(value)


def optional(check: Callable[[Any], _T], value: Any) -> _T | None:
    return None if value is None else check(value)


def array(check: Callable[[Any], _T], value: Any) -> list[_T]:
    if not isinstance(value, list):
        raise TypeError("a list is something else")
    return [check(one) for one in value]


def table(check: Callable[[Any], _T], value: Any) -> dict[str, _T]:
    """By name."""
    if not isinstance(value, dict):
        raise TypeError("a table is something else")
    return {text(name): check(one) for name, one in value.items()}


def counts(value: Any) -> dict[str, int]:
    """Numbers by name."""
    return table(count, value)
