from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.model import Slot
from bluegreen.watching.line import Seen, parse
from bluegreen.watching.tally import Tally, bounds_of, bucket_of

HEAD = b"<190>Nov 29 12:44:36 bluegreen: "


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        (b"shop.api.green|200|0.000|0.043|0.050", (200, 43)),
        (b"shop.api.green|502|-|-|0.001", (502, None)),
        (b"shop.api.green|200|-, 0.001|-, 1.005|1.010", (200, 1005)),
        (b"shop.api.green|200|0.000 : 0.001|- : 0.007|1.010", (200, 7)),
        (b"shop.api.green|504|0.001|-|60.001", (504, 60001)),  # it waited so long
        (b"shop.api.green|499|0.001|-|3.000", (499, 3000)),
    ],
)
def test_a_line_of_nginx_says_how_a_request_ended(
    line: bytes, seen: tuple[int, int | None]
) -> None:
    assert parse(HEAD + line) == Seen("shop", "api", Slot.GREEN, *seen)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"bluegreen: ", b"shop.api.green|200|0.000|0.043|0.050",
        HEAD + b"shop.api.red|200|0.000|0.043|0.050", HEAD + b"shop.green|200|0|0|0",
        HEAD + b"shop.api.green|999|0.000|0.043|0.050", HEAD + b"shop.api.green|x|0|0|0",
        HEAD + b"shop.api.green|200|0.000|" + b"9" * 100 + b"|0", HEAD + b"\xff.a.blue|200|0|0|0",
    ],
)  # fmt: skip
def test_nonsense_is_no_request(line: bytes) -> None:
    assert parse(line) is None


@given(st.binary(max_size=300))
def test_whatever_comes_is_taken_or_left(line: bytes) -> None:
    parse(line)
    parse(HEAD + line)


@given(st.integers(min_value=0, max_value=2**22 - 1))
def test_a_bucket_is_narrow_and_has_its_times(milliseconds: int) -> None:
    shortest, longest = bounds_of(bucket_of(milliseconds))
    assert shortest <= milliseconds <= longest
    assert longest - shortest <= shortest / 31


def test_a_time_beyond_all_bounds_takes_no_more_room() -> None:
    assert bucket_of(10**11) == bucket_of(2**22 - 1) < 700


def tally_of(*milliseconds: int) -> Tally:
    tally = Tally()
    for one in milliseconds:
        tally.add(Seen("shop", "api", Slot.BLUE, 200, one))
    return tally


def test_percentiles_are_those_of_all_that_was_counted() -> None:
    tally = Tally.of([tally_of(*range(1, 51)), tally_of(*range(51, 101))])
    assert tally.quantile(0.5) == 0.05
    assert tally.quantile(0.99) == pytest.approx(0.099, rel=0.04)
    assert tally.slower_than(0.05) == 50
    assert Tally().quantile(0.99) is None


def test_what_came_since_is_told_apart() -> None:
    tally = tally_of(1, 2)
    before = Tally.of([tally])
    tally.add(Seen("shop", "api", Slot.BLUE, 502, None))
    since = tally.since(before)
    assert (since.requests, since.failed, since.unreachable) == (1, 1, 1)
    assert since.by_service == {"api": 1}
    assert since.times == {}
