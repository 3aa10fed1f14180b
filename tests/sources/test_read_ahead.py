"""Pieces that are made ahead of their use."""

from __future__ import annotations

import itertools
import threading

import pytest

from bluegreen.sources.read_ahead import AHEAD, ReadAhead


def test_pieces_come_in_order_and_then_none() -> None:
    pieces = iter([b"%d" % number for number in range(50)])
    ahead = ReadAhead(lambda: next(pieces, b""))
    assert [ahead.next() for _ in range(52)] == [*[b"%d" % n for n in range(50)], b"", b""]
    ahead.close()


def test_what_fails_is_raised_where_the_piece_is_wanted() -> None:
    def make() -> bytes:
        if next(counter) == 2:
            raise ValueError("damaged")
        return b"x"

    counter = itertools.count()
    ahead = ReadAhead(make)
    assert [ahead.next(), ahead.next()] == [b"x", b"x"]
    with pytest.raises(ValueError, match="damaged"):
        ahead.next()
    ahead.close()


def test_no_more_is_made_than_may_wait_and_nothing_once_it_is_closed() -> None:
    made = itertools.count(1)
    last = 0

    def make() -> bytes:
        nonlocal last
        last = next(made)
        return b"x"

    before = threading.active_count()
    ahead = ReadAhead(make)
    for _ in range(3):
        ahead.next()
    ahead.close()
    assert last <= 3 + AHEAD + 1
    assert threading.active_count() == before
