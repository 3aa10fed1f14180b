"""``bluegreen switch …`` as it is mostly typed, understood without a parser.

Making the parser of all commands takes longer than the switch. Whatever this does not understand
is the parser's, with its help and its messages.
"""

from __future__ import annotations

import os

SLOTS = ("blue", "green")


class Asked:
    """The options of a switch, under the names that the parser gives them."""

    def __init__(self, root: str, slot: str, app: str | None, *, json: bool) -> None:
        self.root = root
        self.slot = slot
        self.app = app
        self.json = json


def plain_switch(arguments: list[str]) -> Asked | None:
    """``switch back [APP]`` or ``switch to SLOT [APP]``, with ``--root DIR`` and ``--json``."""
    words: list[str] = []
    root, json = "", False
    left = iter(arguments)
    for argument in left:
        if argument == "--json":
            json = True
        elif argument == "--root":
            root = next(left, "")
            if not root or root.startswith("-"):
                return None
        elif argument.startswith("-"):
            return None
        else:
            words.append(argument)
    if words[:2] == ["switch", "back"]:
        slot, apps = "back", words[2:]
    elif words[:2] == ["switch", "to"] and words[2:3] and words[2] in SLOTS:
        slot, apps = words[2], words[3:]
    else:
        return None
    if len(apps) > 1:
        return None
    root = root or os.environ.get("BLUEGREEN_ROOT", "/")
    if not root:
        return None  # which is wrong use
    return Asked(os.path.abspath(root), slot, apps[0] if apps else None, json=json)
