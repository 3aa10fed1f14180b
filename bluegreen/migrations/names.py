"""Names of migrations, as an app's ``check`` prints them and an operator types them."""

from __future__ import annotations

import re

from bluegreen.errors import UsageError

LONGEST = 200  # characters

_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.:/@+=-]{{0,{LONGEST - 1}}}")


def is_name(text: str) -> bool:
    """Whether it can be a migration's name: ``0007_add_owner``, ``shop/0002``, ``V3__x.sql``."""
    return _NAME.fullmatch(text) is not None and ".." not in text.split("/")


def check_name(text: str) -> str:
    """``text``, if it can be a migration's name; raises UsageError."""
    if not is_name(text):
        raise UsageError(
            "that is no name of a migration",
            remedy=f"letters, digits and _ . : / @ + = -, at most {LONGEST}, not beginning with a "
            "sign; bluegreen migrations check lists the pending ones",
        )
    return text
