"""One request, as nginx tells of it in a datagram: the format is in ``nginx/common.conf.j2``.

``<190>Nov 29 12:44:36 bluegreen: shop.api.green|200|0.000|0.043|0.044``: app, service and slot;
the status; how long nginx took to connect to the service and until that began to answer; how long
the request took in all. Of several attempts each time has several values, and one without is
``-``. Nothing in it comes from a client, so nothing needs to be escaped. Plain words and not JSON,
as thousands of them come in a second.
"""

from __future__ import annotations

from typing import NamedTuple

from bluegreen.model import Slot

TAG = b"bluegreen: "
_NONE = b"-"
_LONGEST = 12  # digits of a time in milliseconds
_SLOTS = {slot.value.encode(): slot for slot in Slot}
_GONE = 499  # nginx's status for a client that went away


class Seen(NamedTuple):
    """A request that was sent to a slot. ``milliseconds`` is how long its answer took to begin.

    Where none came, it is how long nginx waited for one; None: it reached no service.
    """

    app: str
    service: str
    slot: Slot
    status: int
    milliseconds: int | None

    @property
    def is_gone(self) -> bool:
        """Whether the client went away before it had its answer."""
        return self.status == _GONE


def parse(datagram: bytes) -> Seen | None:
    """None for what nginx does not send."""
    _, tag, text = datagram.partition(TAG)
    fields = text.split(b"|")
    if not tag or len(fields) != 5:
        return None
    where, status, connected, began, whole = fields
    names = where.split(b".")
    if len(names) != 3 or (slot := _SLOTS.get(names[2])) is None:
        return None
    try:
        number = int(status)
        milliseconds = _milliseconds(began)
        if milliseconds is None and _milliseconds(connected) is not None:
            milliseconds = _milliseconds(whole)
        app, service = names[0].decode("ascii"), names[1].decode("ascii")
    except ValueError:
        return None
    if not 100 <= number <= 599:
        return None
    return Seen(app, service, slot, number, milliseconds)


def _milliseconds(times: bytes) -> int | None:
    """Of the last attempt. Raises ValueError."""
    last = times.rsplit(b" ", 1)[-1]
    if last == _NONE:
        return None
    digits = last.replace(b".", b"")  # nginx writes three digits behind the point
    if not digits.isdigit() or len(digits) > _LONGEST:
        raise ValueError(last)
    return int(digits)
