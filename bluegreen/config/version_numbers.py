"""Versions that have an order, by PEP 440.

That reads tags such as ``v2.4.0`` and, of Semantic Versioning, ``2.4.0-rc.1`` and
``2.4.0+build.5``. What else a release may be named after (a branch, a commit) has no version.
"""

from __future__ import annotations

import re

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

# What git takes for a commit: 1a23456 would be a first alpha otherwise.
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")


def version_number(text: str) -> Version | None:
    """The version that a release named ``text`` has; None where that has no order."""
    if _COMMIT.fullmatch(text):
        return None
    try:
        return Version(text)
    except InvalidVersion:
        return None


def fits(specifiers: str, version: Version) -> bool:
    """Whether ``version`` is one of ``specifiers``, a pre-release as PEP 440 orders it."""
    return SpecifierSet(specifiers).contains(version, prereleases=True)


def fits_release(specifiers: str, version: Version) -> bool:
    """As `fits`, for an app's own releases: a pre-release also counts as what it leads to.

    2.2.0-rc.1 has what is new in 2.2, though PEP 440 has it before 2.2.
    """
    if fits(specifiers, version):
        return True
    return version.is_prerelease and fits(specifiers, Version(version.base_version))
