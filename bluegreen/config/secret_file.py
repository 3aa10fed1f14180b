"""A value that is kept in a file of its own, so that the app file can be read by many."""

from __future__ import annotations

from bluegreen.config.section import Section
from bluegreen.config.values import AbsolutePath


class SecretFile(Section):
    """A value kept in a file of its own: ``{ file = "/etc/bluegreen/secrets/jwt" }``."""

    file: AbsolutePath
