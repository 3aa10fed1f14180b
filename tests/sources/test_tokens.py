"""The token in a file, and what is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bluegreen.errors import SourceError
from bluegreen.sources.tokens import MOST_BYTES, read_token


def test_it_is_one_line_of_an_ordinary_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"ghp_abc\r\n")
    assert read_token(str(file)) == "ghp_abc"
    for content in (b"", b"a b", b"a\nb", b"\xff", b"x" * (MOST_BYTES + 1), b"x" * 2**20):
        file.write_bytes(content)
        with pytest.raises(SourceError, match="holds no token"):
            read_token(str(file))
    file.unlink()
    with pytest.raises(SourceError, match="is not there or cannot be read"):
        read_token(str(file))
    os.mkfifo(file)  # whoever opens it waits for a writer
    with pytest.raises(SourceError, match="holds no token"):
        read_token(str(file))
