"""The submodules that a commit pins: read from the commit itself, fetched, checked out.

``git submodule`` is not used: it needs a work tree with a ``.git`` in it, clones anew for every
tree, and runs what ``.gitmodules`` says. Here each submodule has a mirror of its own in the cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import SourceError
from bluegreen.sources.disk_space import allocated
from bluegreen.sources.git_command import Git, GitResult
from bluegreen.sources.mirror import Mirror
from bluegreen.sources.remote import Remote, join_remote, parse_remote

DEEPEST = 10  # submodules within submodules
MOST = 200  # submodules in a release

_SETTING = re.compile(r"submodule\.(.+)\.(path|url|update)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Submodule:
    """A directory of a commit that holds another repository's commit."""

    path: str  # inside the superproject
    commit: str
    address: str | None  # as .gitmodules has it; None: it has none
    wanted: bool  # False where .gitmodules says "update = none"


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a commit holds: its files' bytes on disk, and its submodules."""

    bytes: int
    submodules: tuple[Submodule, ...]


async def content_of(mirror: Mirror, commit: str) -> Content:
    """List a cached commit. Raises SourceError when the mirror cannot read it."""
    listing = await mirror.read("ls-tree", "-r", "-z", "--long", "--full-tree", commit)
    size, links, whole = 0, [], listing.ok
    for entry in _entries(listing.output):
        about, _, path = entry.partition(b"\t")
        _, kind, name, length = about.split()
        if kind == b"commit":
            links.append((os.fsdecode(path), name.decode()))
        elif length == b"BAD":  # a blob that is not there
            whole = False
        elif kind == b"blob":
            size += allocated(int(length))
    if not whole:
        raise await mirror.unreadable(commit, listing)
    if not links:
        return Content(bytes=size, submodules=())
    settings = await _settings(mirror, commit)
    return Content(
        bytes=size,
        submodules=tuple(
            Submodule(
                path=path,
                commit=pinned,
                address=settings.get(path, {}).get("url"),
                wanted=settings.get(path, {}).get("update") != "none",
            )
            for path, pinned in links
        ),
    )


def _entries(listing: bytes) -> Iterator[bytes]:
    """What ends with a NUL, one by one: a release may hold many files."""
    start = 0
    while (end := listing.find(b"\0", start)) >= 0:
        yield listing[start:end]
        start = end + 1


async def _settings(mirror: Mirror, commit: str) -> dict[str, dict[str, str]]:
    """What .gitmodules says, by path."""
    result = await mirror.read(
        "config", "--blob", f"{commit}:.gitmodules", "--no-includes", "--null", "--list"
    )
    by_name: dict[str, dict[str, str]] = {}
    for entry in os.fsdecode(result.output).split("\0") if result.ok else ():
        key, _, value = entry.partition("\n")
        if match := _SETTING.fullmatch(key):
            by_name.setdefault(match[1], {})[match[2]] = value
    return {found["path"]: found for found in by_name.values() if "path" in found}


def remote_of(submodule: Submodule, parent: Remote) -> Remote:
    """Where a submodule comes from. Raises SourceError on an address that git must not see."""
    try:
        remote = parse_remote(join_remote(parent, submodule.address or ""))
        if remote.is_local and not parent.is_local:
            raise ValueError("a path of this host, in a repository that is not of this host")
    except ValueError as error:
        raise SourceError(
            f"the submodule {submodule.path} has an address that is not allowed: {error}",
            remedy="correct the url in .gitmodules, or set submodules = false in [source]",
        ) from error
    return remote


def place_of(submodule: Submodule, tree: Path) -> Path:
    """The submodule's directory in ``tree``, created by git and reached through no link.

    Raises SourceError otherwise.
    """
    place = tree
    for part in submodule.path.split("/"):
        place = place / part
        plain = part not in ("", ".", "..") and part.lower() != ".git"
        if not plain or place.is_symlink() or not place.is_dir():
            raise SourceError(
                f"the submodule {submodule.path} has no directory of its own in the release",
                remedy="correct the submodule in the repository",
            )
    return place


@dataclass(frozen=True, kw_only=True)
class Part:
    """One repository's commit in a release: the app's own, or a submodule's."""

    mirror: Mirror
    remote: Remote
    commit: str
    links: tuple[Submodule, ...] = ()  # the way down to it

    @property
    def path(self) -> str:
        return "/".join(link.path for link in self.links)


class Submodules:
    """The mirrors of an app's submodules, one a URL. Use them under the cache lock."""

    def __init__(self, git: Git, cache: Path) -> None:
        self._git = git
        self._cache = cache

    def _mirror(self, remote: Remote) -> Mirror:
        name = hashlib.sha256(remote.url.encode()).hexdigest()[:16]
        return Mirror(self._cache / name, remote.url, self._git)

    async def children(self, part: Part, content: Content) -> list[Part]:
        """The wanted submodules of a part, which need not be cached. Raises SourceError."""
        if len(part.links) >= DEEPEST:
            raise SourceError(
                f"the submodules of {part.path} are more than {DEEPEST} deep",
                remedy="flatten them, or set submodules = false in [source]",
            )
        found = []
        for link in content.submodules:
            if link.wanted and link.address is not None:
                remote = remote_of(link, part.remote)
                found.append(
                    Part(
                        mirror=self._mirror(remote),
                        remote=remote,
                        commit=link.commit,
                        links=(*part.links, link),
                    )
                )
        return found

    async def fetch(self, top: Part, *, deadline: float) -> list[str]:
        """Have every pinned commit in the cache, fetching only what is missing.

        ``deadline`` is in the loop's time. Returns warnings; raises SourceError naming the
        submodule that cannot be had.
        """
        await asyncio.to_thread(self._cache.mkdir, parents=True, exist_ok=True)
        warnings: list[str] = []
        pending, count = [top], 0
        while pending:
            part = pending.pop()
            content = await content_of(part.mirror, part.commit)
            warnings += [
                f"{link.path} is a submodule without a url in .gitmodules and stays empty"
                for link in content.submodules
                if link.wanted and link.address is None
            ]
            children = await self.children(part, content)
            count += len(children)
            if count > MOST:
                raise SourceError(
                    f"the release has more than {MOST} submodules",
                    remedy="set submodules = false in [source], or have fewer",
                )
            for child in children:
                await self._have(child, deadline)
            pending += children
        return warnings

    async def _have(self, part: Part, deadline: float) -> None:
        if await part.mirror.has_commit(part.commit):
            return
        clock = asyncio.get_running_loop().time
        await part.mirror.clear_leftovers()
        failure: GitResult | None = await part.mirror.update(timeout=deadline - clock())
        if failure is None and not await part.mirror.has_commit(part.commit):
            failure = await part.mirror.fetch_commit(part.commit, timeout=deadline - clock())
        if failure is not None and not await part.mirror.has_commit(part.commit):
            raise SourceError(
                f"the submodule {part.path} could not be fetched from {part.remote.url} at "
                f"{part.commit[:10]}: {failure.ending}",
                detail=failure.errors,
                remedy="make sure that this host may read that repository and that the commit was "
                "pushed there, then deploy again",
            )

    async def check_out(self, top: Part, tree: Path, *, timeout: float) -> tuple[Part, GitResult]:
        """Write a release with all its submodules into the existing, empty ``tree``.

        Nothing is fetched. Returns the last part that was tried, and how it went. Raises
        SourceError on a submodule whose directory is not one.
        """
        pending, places = [top], {top.links: tree}
        while True:
            part = pending.pop()
            place = places[part.links]
            result = await part.mirror.check_out(part.commit, place, timeout=timeout)
            if not result.ok:
                return part, result
            for child in await self.children(part, await content_of(part.mirror, part.commit)):
                places[child.links] = place_of(child.links[-1], place)
                pending.append(child)
            if not pending:
                return part, result
