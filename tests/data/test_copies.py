"""What is written of copies that may be there, and read by a next daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.data.copies import read_record
from bluegreen.errors import DataError


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"data": "/x"}', '{"data": 1, "postgres": []}', '{"postgres": []}'],
)
def test_a_record_that_makes_no_sense_is_told_with_what_to_remove(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "copy_0a1b2c3d4e"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        read_record(file)
    assert str(file) in caught.value.message
    assert "remove by hand what ends with _copy_0a1b2c3d4e" in caught.value.remedy


def test_a_record_names_the_copy_of_what_is_shared_and_what_was_copied(tmp_path: Path) -> None:
    file = tmp_path / "copy_0a1b2c3d4e"
    file.write_text('{"data": "/x/data", "postgres": ["postgresql:///shop"]}')
    assert read_record(file) == (Path("/x/data"), ["postgresql:///shop"])
