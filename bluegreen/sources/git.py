"""Releases from a git repository: a version is a tag, a branch or a commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from bluegreen.config.source_section import Source as SourceSettings
from bluegreen.config.versions import check_version
from bluegreen.errors import ConfigError, SourceError, UsageError
from bluegreen.layout import AppLayout
from bluegreen.model import Release
from bluegreen.sources import git_errors, place_errors
from bluegreen.sources.cache_lock import cache_lock
from bluegreen.sources.comparison import Comparison
from bluegreen.sources.disk_space import free_bytes
from bluegreen.sources.git_access import GitAccess
from bluegreen.sources.git_command import Git, GitResult
from bluegreen.sources.mirror import AmbiguousPrefixError, Found, Mirror, is_full_commit
from bluegreen.sources.outlook import Outlook
from bluegreen.sources.remote import parse_remote
from bluegreen.sources.shallow import Shallow
from bluegreen.sources.signatures import Signatures
from bluegreen.sources.submodules import Part, Submodules, content_of

COMPARE_TIMEOUT = 30.0  # seconds: somebody waits for it


def _check(version: str) -> None:
    check_version(version)
    if version.startswith("refs/"):
        raise UsageError(
            f"{version} is the full name of a git ref",
            remedy="name the tag or branch itself, without refs/tags/ or refs/heads/",
        )


@dataclass(frozen=True, kw_only=True)
class _Cache:
    """The app's git cache while its lock is held."""

    git: Git
    mirror: Mirror
    submodules: Submodules


class GitSource:
    """A repository, mirrored in the app's cache."""

    def __init__(self, app: str, settings: SourceSettings, layout: AppLayout) -> None:
        """Raises ConfigError when ``settings.git`` is no address that git may be given."""
        try:
            self._remote = parse_remote(settings.git or "")
        except ValueError as error:
            raise ConfigError(
                f"{app}: source.git cannot be used: {error}",
                remedy="correct git in the [source] table of the app file",
            ) from error
        self._app = app
        self._settings = settings
        self._layout = layout
        self._cache = layout.cache
        self._access = GitAccess.of(settings)

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[_Cache]:
        await asyncio.to_thread(self._cache.mkdir, parents=True, exist_ok=True)
        lock = self._cache / "git.lock"
        async with cache_lock(lock, timeout=self._settings.timeout) as descriptor:
            git = Git(self._remote, self._cache, lock=descriptor, access=self._access)
            yield _Cache(
                git=git,
                mirror=Mirror(
                    self._cache / "git",
                    self._remote.url,
                    git,
                    partial=self._settings.clone == "partial",
                    shallow=self._settings.clone == "shallow",
                ),
                submodules=Submodules(git, self._cache / "git-modules"),
            )

    async def resolve(self, version: str, *, pinned: str | None = None) -> Release:
        """Fetch, and pin ``version`` to a commit, its submodules too; see Source.

        Where signatures are asked for, they are looked at before anything of it is laid out, also
        of what is pinned and cached.

        A full commit that is cached needs no fetch. ``refs/…`` is refused: a version is looked
        for among tags, branches and commits, in that order.
        """
        wanted = pinned or version
        _check(wanted)
        deadline = asyncio.get_running_loop().time() + self._settings.timeout
        try:
            async with self._open() as cache:
                release = await self._resolve(cache, wanted, version, deadline)
                if self._settings.submodules:
                    warnings = await self._submodules(cache, release, deadline)
                    release = replace(release, warnings=(*release.warnings, *warnings))
                return release
        except OSError as error:
            raise place_errors.unwritable(self._app, self._cache, error) from error

    async def _resolve(self, cache: _Cache, wanted: str, version: str, deadline: float) -> Release:
        """The commit that ``wanted`` names, as the release ``version``."""
        mirror, warnings = cache.mirror, []
        await mirror.clear_leftovers()
        await mirror.be_of_this_address()
        pinned = await mirror.is_usable() and await mirror.has_commit(wanted)
        failure = None if pinned else await self._update(cache, version, wanted, deadline)
        found = await self._find(mirror, wanted, failure)
        if failure is not None:
            warnings.append(git_errors.stale(wanted, self._remote, mirror, found, failure))
        elif not pinned and (warning := await mirror.tidy()):
            warnings.append(warning)
        signed_by = None
        if (verify := self._settings.verify) is not None:
            signatures = Signatures(app=self._app, verify=verify, mirror=mirror, git=cache.git)
            signed_by = await signatures.check(version, found.commit)
        await self._complete(mirror, version, found.commit, deadline)
        if mirror.is_unfiltered:
            warnings.append(f"{self._remote.url} gives no partial clones: all of it was fetched")
        return Release(
            app=self._app, version=version, commit=found.commit, origin=self._remote.url,
            warnings=tuple(warnings), signed_by=signed_by,
        )  # fmt: skip

    async def _complete(self, mirror: Mirror, version: str, commit: str, deadline: float) -> None:
        """Have all files of the commit, so that laying it out needs no server."""
        left = deadline - asyncio.get_running_loop().time()
        if (failure := await mirror.complete(commit, timeout=left)) is not None:
            raise git_errors.unavailable(self._app, version, self._remote, self._cache, failure)

    async def _submodules(self, cache: _Cache, release: Release, deadline: float) -> list[str]:
        """Have what the commit pins; it is looked for only once the commit may run."""
        top = Part(mirror=cache.mirror, remote=self._remote, commit=release.commit or "")
        return await cache.submodules.fetch(top, deadline=deadline)

    async def _update(
        self, cache: _Cache, version: str, wanted: str, deadline: float
    ) -> GitResult | None:
        clock, mirror = asyncio.get_running_loop().time, cache.mirror
        if await mirror.is_fetched_by_version():
            shallow = Shallow(mirror=mirror, git=cache.git)
            return await shallow.update(version, wanted, timeout=deadline - clock())
        failure = await mirror.update(timeout=deadline - clock())
        if failure is None and is_full_commit(wanted) and not await mirror.has_commit(wanted):
            # Whether the server gives it or not: what is found afterwards decides.
            await mirror.fetch_commit(wanted.lower(), timeout=deadline - clock())
        return failure

    async def _find(self, mirror: Mirror, version: str, failure: GitResult | None) -> Found:
        try:
            found = await mirror.find(version)
        except AmbiguousPrefixError as error:
            raise git_errors.ambiguous(self._app, version, error.commits) from error
        if found is not None:
            return found
        if failure is not None:
            raise git_errors.unavailable(
                self._app, version, self._remote, self._cache, failure,
                before=await mirror.address_before(),
            )  # fmt: skip
        raise git_errors.unknown(
            self._app, version, self._remote, await mirror.names(),
            shallow=mirror.offered is not None,
        )  # fmt: skip

    async def compare(self, version: str, since: str | None) -> Comparison:
        """See Source; what the remote has by now, if it answers."""
        _check(version)
        outlook = Outlook(
            app=self._app, remote=self._remote, layout=self._layout, access=self._access,
            timeout=min(self._settings.timeout, COMPARE_TIMEOUT),
            shallow=self._settings.clone == "shallow",
        )  # fmt: skip
        return await outlook.compare(version, since)

    async def lay_out(self, release: Release, tree: Path) -> None:
        """Check out exactly ``release.commit``, with submodules, without fetching; see Source.

        The tree has no ``.git``: nothing that a build or a service could read credentials from.
        """
        if release.commit is None:
            raise SourceError(
                f"{release.version} of {self._app} is not pinned to a commit",
                remedy="deploy it again",
            )
        try:
            async with self._open() as cache:
                top = Part(mirror=cache.mirror, remote=self._remote, commit=release.commit)
                await self._require_space(top, tree)
                await asyncio.to_thread(tree.mkdir, parents=True, mode=0o700)
                await self._check_out(cache, top, tree)
        except OSError as error:
            raise place_errors.unwritable(self._app, tree, error) from error

    async def _require_space(self, top: Part, tree: Path) -> None:
        if not await top.mirror.has_commit(top.commit):
            raise git_errors.lost(self._app, top.commit)
        needed = (await content_of(top.mirror, top.commit)).bytes
        if await asyncio.to_thread(free_bytes, tree) < needed:
            raise place_errors.no_room(self._app, tree, needed)

    async def _check_out(self, cache: _Cache, top: Part, tree: Path) -> None:
        timeout = self._settings.timeout
        if self._settings.submodules:
            part, result = await cache.submodules.check_out(top, tree, timeout=timeout)
        else:
            part, result = top, await top.mirror.check_out(top.commit, tree, timeout=timeout)
        if result.ok:
            return
        damaged = not result.timed_out and await part.mirror.is_damaged()
        raise git_errors.not_laid_out(self._app, part, tree, result, damaged=damaged)
