"""Whether what is answered after a release's gate is what was answered before it started."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from bluegreen.config.invariants import Invariant
from bluegreen.invariants.answering import Answer

_NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """An invariant and its answer before the release."""

    invariant: Invariant
    answer: Answer


def problem(invariant: Invariant, answer: Answer) -> str | None:
    """Why there is nothing to compare; None: there is."""
    if answer.problem is None and invariant.allow == "more" and _number(answer) is None:
        return f'with allow = "more" it has to answer one number, and answers {answer.shown!r}'
    return answer.problem


def difference(before: Measured, after: Answer) -> str | None:
    """What it was and what it is, in one line; None where that is as it is to be."""
    invariant, was = before.invariant, before.answer
    if after.problem is not None:
        return f"{invariant.label}: {_quoted(was)} before, and now {after.problem}"
    if was.digest == after.digest or (invariant.allow == "more" and _has_grown(was, after)):
        return None
    line = f"{invariant.label}: {_quoted(was)} before, {_quoted(after)} now"
    return f"{line} (they differ further on)" if was.shown == after.shown else line


def _has_grown(was: Answer, after: Answer) -> bool:
    first, second = _number(was), _number(after)
    return first is not None and second is not None and second > first


def _number(answer: Answer) -> Decimal | None:
    return Decimal(answer.shown) if _NUMBER.fullmatch(answer.shown) else None


def _quoted(answer: Answer) -> str:
    return answer.shown or "nothing"
