"""What a repository holds by now, seen beside the mirror: an operation may be at work in that.

New commits go into a scratch repository that borrows the mirror's objects. It is thrown away, and a
deploy fetches them again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import SourceError
from bluegreen.layout import AppLayout
from bluegreen.log_tail import printable
from bluegreen.model import Release
from bluegreen.sources import git_errors, place_errors
from bluegreen.sources.advertised import advertised
from bluegreen.sources.comparison import MOST_COMMITS, Commit, Commits, Comparison
from bluegreen.sources.git_access import GitAccess
from bluegreen.sources.git_command import Git, GitResult
from bluegreen.sources.mirror import AmbiguousPrefixError, Found, Mirror, is_commit, is_full_commit
from bluegreen.sources.remote import Remote
from bluegreen.sources.removal import remove_tree

LONGEST_SUBJECT = 120  # characters


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """One app's repository; ``timeout`` in seconds, for whatever speaks to the remote."""

    app: str
    remote: Remote
    layout: AppLayout
    access: GitAccess
    timeout: float
    shallow: bool = False  # whether the mirror is to have no history

    async def compare(self, version: str, since: str | None) -> Comparison:
        """What a checked ``version`` is, and how it differs from the commit ``since``.

        Raises SourceError.
        """
        async with self._scratch() as directory, self._git(directory) as git:
            # No files are looked at, so that one without them does.
            mirror = Mirror(self.layout.cache / "git", self.remote.url, git, partial=True)
            view = Mirror(directory / "git", self.remote.url, git, partial=True)
            if not await mirror.is_usable():
                release = await self._asked_for(git, version, mirror)
                return Comparison(release=release, unknown=None if since is None else self._why)
            await self._borrow(git, mirror, view)
            return await self._compare(mirror, view, version, since)

    @property
    def _why(self) -> str:
        """Why commits cannot be told without a mirror that has them."""
        if self.shallow:
            return 'clone = "shallow" in [source]: the commits between two versions are not fetched'
        return f"{self.remote.url} has not been fetched yet"

    @contextlib.asynccontextmanager
    async def _scratch(self) -> AsyncIterator[Path]:
        """A directory that is removed afterwards."""
        try:
            await asyncio.to_thread(self.layout.plans.mkdir, parents=True, exist_ok=True)
            directory = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self.layout.plans))
        except OSError as error:
            raise place_errors.unwritable(self.app, self.layout.plans, error) from error
        try:
            yield directory
        finally:
            await asyncio.to_thread(remove_tree, directory)

    @contextlib.asynccontextmanager
    async def _git(self, directory: Path) -> AsyncIterator[Git]:
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield Git(self.remote, directory, lock=descriptor, access=self.access)
        finally:
            os.close(descriptor)

    async def _asked_for(self, git: Git, version: str, mirror: Mirror) -> Release:
        """What the remote says of a version that nothing is cached of."""
        offered = await advertised(git, self.remote.url, timeout=self.timeout)
        if isinstance(offered, GitResult):
            raise git_errors.unavailable(
                self.app, version, self.remote, self.layout.cache, offered,
                before=await mirror.address_before(),
            )  # fmt: skip
        commit = offered.commit(version)
        if commit is None and not is_commit(version):
            raise git_errors.unknown(self.app, version, self.remote, offered.names)
        unsure = f"whether there is a commit {version} is seen as it is fetched"
        return self._release(version, commit, *([] if commit else [unsure]))

    def _release(self, version: str, commit: str | None, *warnings: str) -> Release:
        return Release(
            app=self.app, version=version, commit=commit, origin=self.remote.url, warnings=warnings
        )

    async def _compare(
        self, mirror: Mirror, view: Mirror, version: str, since: str | None
    ) -> Comparison:
        failure = None
        if not await view.has_commit(version):
            failure = await view.fetch(self.timeout)
            if failure is None and is_full_commit(version) and not await view.has_commit(version):
                await view.fetch_commit(version.lower(), timeout=self.timeout)
        found = await self._find(view, version, failure)
        warnings = []
        if failure is not None:
            warnings.append(git_errors.stale(version, self.remote, mirror, found, failure))
        release = self._release(version, found.commit, *warnings)
        if since is None:
            return Comparison(release=release)
        if not await view.has_commit(since):
            why = f"commit {since[:10]}, which serves, is not in {self.remote.url}"
            return Comparison(release=release, unknown=why)
        return Comparison(
            release=release,
            added=await _commits(view, since, found.commit),
            dropped=await _commits(view, found.commit, since),
        )

    async def _borrow(self, git: Git, mirror: Mirror, view: Mirror) -> None:
        """Make ``view``: the mirror's branches and tags, and its objects by reference."""
        kind = await mirror.read("rev-parse", "--show-object-format")
        refs = await mirror.read("for-each-ref", "--format=%(objectname) %(refname)")
        made = await git.run(
            "init", "--bare", "--quiet", "--template=", f"--object-format={kind.text}",
            "--", str(view.directory),
        )  # fmt: skip
        settings = {
            "core.repositoryFormatVersion": "1",
            "extensions.partialClone": "origin",
            "remote.origin.url": self.remote.url,
            "remote.origin.promisor": "true",
        }
        for name, value in settings.items() if await mirror.is_partial() else ():
            made = await git.run("config", name, value, repository=view.directory)
        if not (kind.ok and refs.ok and made.ok):
            raise SourceError(
                f"{self.app}: the git cache cannot be read now",
                detail=[*kind.errors, *refs.errors, *made.errors],
                remedy="ask again; if that does not help, deploy: a damaged cache is made anew",
            )

        def fill() -> None:
            objects = mirror.directory.resolve() / "objects"
            (view.directory / "objects/info").mkdir(exist_ok=True)
            (view.directory / "objects/info/alternates").write_text(f"{objects}\n")
            (view.directory / "packed-refs").write_bytes(refs.output)

        await asyncio.to_thread(fill)

    async def _find(self, view: Mirror, version: str, failure: GitResult | None) -> Found:
        try:
            found = await view.find(version)
        except AmbiguousPrefixError as error:
            raise git_errors.ambiguous(self.app, version, error.commits) from error
        if found is not None:
            return found
        if failure is not None:
            raise git_errors.unavailable(self.app, version, self.remote, self.layout.cache, failure)
        raise git_errors.unknown(self.app, version, self.remote, await view.names())


async def _commits(view: Mirror, start: str, end: str) -> Commits:
    """Those that lead to ``end`` and not to ``start``."""
    span = f"{start}..{end}"
    count = await view.read("rev-list", "--count", span)
    listed = await view.read(
        "rev-list", f"--max-count={MOST_COMMITS}", "--encoding=UTF-8", "--format=%at%x09%s", span
    )
    if not (count.ok and listed.ok):
        raise SourceError(
            f"the commits of {span} cannot be read: {listed.ending}",
            detail=[*count.errors, *listed.errors],
            remedy="ask again; if that does not help, deploy: a damaged cache is made anew",
        )
    lines = listed.output.decode(errors="replace").split("\n")
    heads, texts = lines[::2], lines[1::2]  # "commit ID", then what the format says
    return Commits(
        count=int(count.text),
        newest=tuple(_commit(head, text) for head, text in zip(heads, texts, strict=False)),
    )


def _commit(head: str, text: str) -> Commit:
    at, _, subject = text.partition("\t")
    shown = " ".join(printable(subject).split())
    if len(shown) > LONGEST_SUBJECT:
        shown = f"{shown[: LONGEST_SUBJECT - 1]}…"
    return Commit(id=head.removeprefix("commit "), at=float(at or 0), subject=shown)
