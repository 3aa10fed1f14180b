"""What names the real data in a rehearsal."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.migrations.apart import naming

SHARED = Path("/srv/shop/shared")


@pytest.mark.parametrize(
    "text", ["/srv/shop/shared", "sqlite:////srv/shop/shared/app.db", "'/srv/shop/shared'"]
)
def test_a_place_that_is_named_is_found(text: str) -> None:
    assert naming([SHARED], {"DATABASE": text}) == [f"DATABASE names {SHARED}"]


@pytest.mark.parametrize("text", ["/srv/shop/shared2/app.db", "/srv/shop", "shared", ""])
def test_another_place_is_not(text: str) -> None:
    assert naming([SHARED], {"DATABASE": text}) == []
