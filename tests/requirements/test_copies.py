"""What a server answers of whether its database can be copied, whatever it answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bluegreen.requirements.copies import problems
from bluegreen.sources.disk_space import free_bytes

URL = "postgresql:///shop"


def said(**more: Any) -> str:
    known = {"role": "shop", "may": True, "bytes": 8 * 2**20, "here": True, "directory": None}
    return json.dumps(known | more)


def test_nothing_is_found_where_it_can_be_copied() -> None:
    assert problems("shop", [(URL, said())]) == []


def test_a_database_for_which_the_servers_disk_has_no_room_is_told(tmp_path: Path) -> None:
    half = free_bytes(tmp_path) // 2
    answer = said(bytes=half, directory=str(tmp_path))
    assert problems("shop", [(URL, answer)]) == []
    answer = said(bytes=2 * half, directory=str(tmp_path))
    (found,) = problems("shop", [(URL, answer)])
    assert found.message.endswith(f"the disk has no room for a copy of {URL}")
    assert str(tmp_path) in found.detail[0]
    assert "rehearse = false" in found.remedy


@pytest.mark.parametrize("elsewhere", [{"here": False}, {"directory": "/not/here"}])
def test_of_a_disk_that_is_not_this_hosts_nothing_is_known(elsewhere: dict[str, Any]) -> None:
    assert problems("shop", [(URL, said(bytes=2**62, **elsewhere))]) == []


def test_a_role_that_may_not_create_databases_is_named() -> None:
    (found,) = problems("shop", [(URL, said(may=False))])
    assert "the role shop of postgresql:///shop may not create" in found.message
    assert 'ALTER ROLE "shop" CREATEDB' in found.remedy


@pytest.mark.parametrize("answer", ["", "[]", "{}", "no", said(bytes=-1), said(may=None)])
def test_an_answer_that_makes_no_sense_is_told(answer: str) -> None:
    (found,) = problems("shop", [(URL, answer)])
    assert "the answer makes no sense" in found.message
