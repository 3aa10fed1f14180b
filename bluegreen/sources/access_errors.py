"""What an operator reads when a key or token of [source] cannot be used; never what it is."""

from __future__ import annotations

import os

from bluegreen.errors import SourceError


def unreadable(key: str, file: str) -> SourceError:
    return SourceError(
        f"{file}, {key} of [source], is not there or cannot be read",
        remedy=f"have it there, readable for the user that runs the daemon (uid {os.geteuid()}) "
        "and for no other",
    )


def no_token(file: str) -> SourceError:
    return SourceError(
        f"{file} holds no token",
        remedy="have the token there in one line, without blanks and with nothing else",
    )
