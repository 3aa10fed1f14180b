"""What may be asked for as a version: a tag, a branch, a commit or a directory's name."""

from __future__ import annotations

import re

from bluegreen.errors import UsageError

LONGEST = 200  # characters

_VERSION = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._/+@-]{{0,{LONGEST - 1}}}")


def check_version(version: str) -> str:
    """Return ``version`` if it is safe as a git ref, a path below a directory and in a shell.

    A narrower rule than git's own (gitrevisions(7), git-check-ref-format(1)): no leading dash,
    nothing that selects a revision (``^``, ``~``, ``:``, ``@{``), no way up a path, no hidden
    part. Raises UsageError.
    """
    parts = version.split("/")
    if (
        not _VERSION.fullmatch(version)
        or ".." in version
        or version.endswith(".")
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    ):
        shown = version if len(version) <= 60 else version[:57] + "..."
        raise UsageError(
            f"{shown!r} cannot be a version",
            remedy="Name a tag, a branch or a commit, such as v1.2.0, main or 0a1b2c3: letters, "
            f"digits and . _ / + @ -, beginning with a letter or digit, at most {LONGEST} long.",
        )
    return version
