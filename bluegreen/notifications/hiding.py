"""Keeps secrets out of what receivers say: many repeat the address or the token they were asked by.

Imported by the worker too, and so light.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

SHORTEST_SECRET = 4  # characters
MASK = "***"


def parts_of(url: str) -> set[str]:
    """All of a URL but its scheme: what looks like its host may be a token."""
    parts = {url, *re.split(r"[/?&=@:#,]+", url)}
    parts |= {unquote(part) for part in parts}
    parts.discard(url.partition(":")[0])
    return parts


def hide(text: str, secrets: Iterable[str]) -> str:
    """``text`` without any of ``secrets``, however they are written."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = re.sub(re.escape(secret), MASK, text, flags=re.IGNORECASE)
    return text
