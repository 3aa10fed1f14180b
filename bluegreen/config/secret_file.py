"""A secret as a file names it: never itself, only where it is kept."""

from __future__ import annotations

from bluegreen.config.section import Section
from bluegreen.config.values import AbsolutePath


class SecretFile(Section):
    """A value kept in a file of its own: ``{ file = "/etc/bluegreen/secrets/jwt" }``."""

    file: AbsolutePath
