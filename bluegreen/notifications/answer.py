"""What became of an attempt to tell a receiver something."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from bluegreen.log_tail import printable

LONGEST_SAID = 300  # characters of what a receiver answers
_REDIRECTS = range(300, 400)
_PASSING = (408, 425, 429)  # and what the server itself has to answer for
# The receiver is not as it is configured, whatever is sent: that can be mended.
_OF_THE_RECEIVER = (401, 403, 404, 405, 407)


class Outcome(Enum):
    """What follows from an attempt."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # this message, and perhaps no other
    FAILED = "failed"  # the receiver, whatever is sent to it
    GONE = "gone"  # it wants nothing any more
    NOT_YET = "not yet"  # there is something to wait for before it can be told
    NOTHING = "nothing"  # there is nothing to tell it


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``said`` is for people. ``retry_after`` is in seconds, where the receiver asks for that."""

    outcome: Outcome
    said: str = ""
    retry_after: float | None = None


ACCEPTED = Answer(outcome=Outcome.ACCEPTED)
NOT_YET = Answer(outcome=Outcome.NOT_YET)
NOTHING = Answer(outcome=Outcome.NOTHING)


def failed(said: str) -> Answer:
    return Answer(outcome=Outcome.FAILED, said=said)


def answer_to(status: int, headers: Mapping[str, str], body: str, now: float) -> Answer:
    """What an HTTP answer means. ``now`` is Unix seconds, for times that it names."""
    if 200 <= status < 300:
        return Answer(outcome=Outcome.ACCEPTED, said=_said(status, body))
    said = _said(status, body)
    if status == 410:
        return Answer(outcome=Outcome.GONE, said=said)
    if status in _REDIRECTS:
        return failed(f"it redirects ({status}), which is not followed: name the address itself")
    wait = retry_after(headers, now)
    passing = status >= 500 or status in _PASSING or status in _OF_THE_RECEIVER
    outcome = Outcome.FAILED if passing or wait is not None else Outcome.REFUSED
    return Answer(outcome=outcome, said=said, retry_after=wait)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that it asks to be left alone for: Retry-After, or the limits of forges."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    if text and (at := email.utils.parsedate_tz(text)) is not None:
        return max(0.0, email.utils.mktime_tz(at) - now)
    for kind in ("x-ratelimit", "ratelimit"):
        reset = headers.get(f"{kind}-reset", "").strip()
        if headers.get(f"{kind}-remaining") == "0" and re.fullmatch(r"[0-9]{1,12}", reset):
            return max(0.0, int(reset) - now)
    return None


def _said(status: int, body: str) -> str:
    text = " ".join(printable(" ".join(body.split())).split())[:LONGEST_SAID]
    return f"it answers {status}" + (f": {text}" if text else "")
