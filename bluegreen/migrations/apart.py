"""Whether what is to work on a copy of the data names the real ones."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path


def naming(places: Iterable[Path], texts: Mapping[str, str]) -> list[str]:
    """``DATABASE names /srv/shop/shared``: which of ``texts``, each by what it is, name a place."""
    found = []
    for place in places:
        # A whole name: what stands in for a place may begin as that does.
        named = re.compile(f"{re.escape(os.fspath(place))}(?![A-Za-z0-9_.-])")
        found += [f"{what} names {place}" for what, text in texts.items() if named.search(text)]
    return found
