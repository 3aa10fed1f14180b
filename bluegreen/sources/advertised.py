"""What a remote says of its branches and tags, without anything being fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bluegreen.sources.git_command import Git, GitResult

_REF = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\t(refs/(?:heads|tags)/\S+)")
_PEELED = "^{}"  # ends the second line of an annotated tag, of the commit that it is of


@dataclass(frozen=True, kw_only=True)
class Advertised:
    """``objects``: the object that each full name of a ref stands for."""

    objects: Mapping[str, str]

    def ref(self, version: str) -> str | None:
        """The full name of the tag or, if there is none, the branch of that name."""
        named = (f"refs/tags/{version}", f"refs/heads/{version}")
        return next((name for name in named if name in self.objects), None)

    def commit(self, version: str) -> str | None:
        """What the tag or branch of that name leads to."""
        if (ref := self.ref(version)) is None:
            return None
        return self.objects.get(f"{ref}{_PEELED}", self.objects[ref])

    @property
    def digits(self) -> int:
        """How long its objects' names are: 40, of SHA-1, or 64, of SHA-256."""
        return max((len(name) for name in self.objects.values()), default=40)

    @property
    def names(self) -> list[str]:
        """All tags and branches."""
        return [name.split("/", 2)[2] for name in self.objects if not name.endswith(_PEELED)]


async def advertised(git: Git, url: str, *, timeout: float) -> Advertised | GitResult:
    """What ``url`` has; how git ended where it does not say."""
    said = await git.run_remote(
        "ls-remote", "--quiet", "--heads", "--tags", "--", url, timeout=timeout
    )
    if not said.ok:
        return said
    found = (_REF.fullmatch(line) for line in said.text.split("\n"))
    # What git would not fetch under its name is not there, whatever the server says.
    return Advertised(objects={ref[2]: ref[1] for ref in found if ref and ref[2].isprintable()})
