"""Files of checksums, as sha256sum(1) and the BSDs write them."""

from __future__ import annotations

import re

MOST_BYTES = 2**20  # of such a file

_GNU = re.compile(r"\\?([0-9a-fA-F]{64})(?: [ *]|\t| )(.+)")
_BSD = re.compile(r"SHA256 ?\((.+)\) ?= ?([0-9a-fA-F]{64})")
_ALONE = re.compile(r"[0-9a-fA-F]{64}")


class ChecksumError(Exception):
    """The file does not say what the SHA-256 is; its text is why."""


def digest_of(name: str, text: str) -> str:
    """The SHA-256 that ``text`` gives the file ``name``, in lower-case hexadecimal digits.

    A file that holds one digest and nothing else is of that file. Raises ChecksumError.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and _ALONE.fullmatch(lines[0]):
        return lines[0].lower()
    found = set()
    for line in lines:
        if match := _GNU.fullmatch(line):
            digest, named = match[1], match[2]
        elif match := _BSD.fullmatch(line):
            named, digest = match[1], match[2]
        else:
            continue
        if named.removeprefix("./") == name:
            found.add(digest.lower())
    if not found:
        raise ChecksumError(f"there is no SHA-256 of {name} in it")
    if len(found) > 1:
        raise ChecksumError(f"it has several SHA-256 of {name}")
    return found.pop()
