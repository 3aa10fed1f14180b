"""Whether what is to work on a copy of the data names the real ones."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bluegreen.config.postgres_address import database_of, naming_databases
from bluegreen.config.settings import AppSettings


def naming_data(
    settings: AppSettings, places: Iterable[Path], texts: Mapping[str, str]
) -> list[str]:
    """Which of ``texts``, each by what it is, name one of ``places`` or one of the databases."""
    backup = settings.backup
    names = [] if backup is None else [database_of(address) for address in backup.postgres]
    databases = [name for name in names if name is not None]
    return [*naming(places, texts), *naming_databases(databases, texts)]


def naming(places: Iterable[Path], texts: Mapping[str, str]) -> list[str]:
    """``DATABASE names /srv/shop/shared``: which of ``texts``, each by what it is, name a place."""
    found = []
    for place in places:
        # A whole name: what stands in for a place may begin as that does.
        named = re.compile(f"{re.escape(os.fspath(place))}(?![A-Za-z0-9_.-])")
        found += [f"{what} names {place}" for what, text in texts.items() if named.search(text)]
    return found
