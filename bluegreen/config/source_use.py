"""What the keys of ``[source]`` say about each other."""

from __future__ import annotations

from collections.abc import Iterator

from bluegreen.config.draft import Draft
from bluegreen.config.problems import Finding
from bluegreen.config.source_section import OF_TARBALLS


def source_findings(draft: Draft) -> Iterator[Finding]:
    """What is well-formed in ``[source]`` and cannot be meant."""
    source = draft.source
    if "tarball" not in source:
        for key in OF_TARBALLS:
            if key in source and {"git", "directory"} & set(source):
                yield Finding(
                    place=("source", key),
                    wrong="it is about a tarball, and releases do not come from one",
                    right="Remove it",
                )
        return
    if source.get("allow_private") is not True:
        for key in ("tarball", "checksums"):
            if str(source.get(key)).lower().startswith("http://"):
                yield Finding(
                    place=("source", key),
                    wrong="whoever is on the way could change what comes over http",
                    right="Write https://…, or add allow_private = true",
                )
    if "sha256" in source and "checksums" in source:
        yield Finding(
            place=("source", "sha256"),
            wrong="sha256 is of one archive, and checksums name one of each version",
            right="Keep one of the two",
        )
