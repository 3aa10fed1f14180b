"""What the marker of a hold says."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.config.settings import MOST_INSTANCES
from bluegreen.gate import hold_file
from bluegreen.gate.hold_file import HOLD, LONGEST_HOLD, UNSAID, decode, encode
from bluegreen.model import Address, Hold, Slot

HELD = Hold(
    since=1000.25,
    until=1030.5,
    by="uid 0 (root)",
    operation=7,
    addresses={
        Slot.BLUE: (
            (Address(port=9081),),
            (Address(port=9091), Address(port=9092)),  # of two instances
            (Address(socket=Path("/run/my app/blue.sock")),),
        ),
        Slot.GREEN: (),
    },
    ways=(Slot.GREEN,),
)


def test_what_is_written_is_read() -> None:
    assert decode(encode(HELD)) == HELD
    by_hand = Hold(since=1.0, until=2.0, by="alice")
    assert decode(encode(by_hand)) == by_hand


def test_so_is_that_of_many_services_of_as_many_instances_as_there_may_be(tmp_path: Path) -> None:
    long = "/var/lib/bluegreen/some/root/of/its/own/run/bluegreen/apps/shop/blue"
    each = tuple(Address(socket=Path(f"{long}-{n}.sock")) for n in range(MOST_INSTANCES))
    many = replace(HELD, addresses=dict.fromkeys(Slot, (each,) * 20))
    (tmp_path / HOLD).write_text(encode(many))
    assert hold_file.read(tmp_path) == many


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("since", "soon"), ("until", None), ("operation", "x"), ("addresses", []),
        ("addresses", {"red": []}), ("addresses", {"blue": ["10.0.0.1:80"]}),
        ("addresses", {"blue": ["127.0.0.1:http"]}), ("ways", ["red"]), ("ways", 3),
    ],
)  # fmt: skip
def test_anything_else_is_not_a_hold(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(json.dumps({**json.loads(encode(HELD)), field: value}))


@pytest.mark.parametrize("text", ["", "null", "[]", '"x"', "{", "{}"])
def test_nor_is_another_document(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(text)


def test_no_hold_is_longer_than_nginx_waits() -> None:
    endless = json.loads(encode(HELD)) | {"until": 1e12}
    assert decode(json.dumps(endless)).until == HELD.since + LONGEST_HOLD


def test_a_file_that_somebody_has_made_ends_by_itself(tmp_path: Path) -> None:
    assert hold_file.read(tmp_path) is None
    (tmp_path / HOLD).touch()
    os.utime(tmp_path / HOLD, (500.0, 500.0))
    found = hold_file.read(tmp_path)
    assert found is not None
    assert (found.since, found.until, found.operation) == (500.0, 500.0 + UNSAID, None)
    assert found.addresses == {}


def test_where_it_cannot_be_told_nobody_is_told_that_nothing_is_held(tmp_path: Path) -> None:
    around = tmp_path / "around"
    around.symlink_to("around")
    with pytest.raises(OSError, match="Too many levels"):
        hold_file.read(around)
