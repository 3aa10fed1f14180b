"""Names that an app file takes, made from those of directories, processes and units."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

LONGEST = 40  # characters; see Name in bluegreen.config.values


def name_from(text: str, otherwise: str = "app") -> str:
    """Lower-case letters, digits and dashes, a letter first: ``My Shop!`` → ``my-shop``."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not name:
        return otherwise
    if not name[0].isalpha():
        name = f"{otherwise}-{name}"
    return name[:LONGEST].rstrip("-")


def another(name: str, taken: Collection[str]) -> str:
    """``name``, or it with the first number that makes it free: ``web-2``."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name[: LONGEST - 1 - len(str(number))]}-{number}"
    return candidate
