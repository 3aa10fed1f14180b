"""A value that is kept in a file of its own, so that the app file can be read by many."""

from __future__ import annotations

from pathlib import Path

from bluegreen.config.env_file import read_small_file
from bluegreen.config.section import Section
from bluegreen.config.values import AbsolutePath


class SecretFile(Section):
    """A value kept in a file of its own: ``{ file = "/etc/bluegreen/secrets/jwt" }``."""

    file: AbsolutePath

    def read(self) -> str:
        """All that the file holds. Blocking: its file system may hang. Raises UnusableFileError."""
        return read_small_file(Path(self.file), what="secret file")
