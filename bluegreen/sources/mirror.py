"""A bare copy of a repository in the app's cache: fetched into, resolved in, checked out from.

It is private to bluegreen and can always be made again: a damaged one is replaced by a fresh clone,
and stays in use for what it still has while the remote cannot be reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from bluegreen.errors import SourceError
from bluegreen.files import rename_durably
from bluegreen.sources.git_command import LOCAL_TIMEOUT, Git, GitResult
from bluegreen.sources.interruptible import in_thread
from bluegreen.sources.removal import remove_tree

MOST_PACKS = 40  # each fetch adds one; beyond that they are made one
_FILTER = "--filter=blob:none"  # all commits and directories, and no files
_NOT_FILTERED = "filtering not recognized by server"
_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
FULL = (40, 64)  # digits of a SHA-1 and of a SHA-256
SHALLOW = "bluegreen.shallow"  # set in the configuration of a mirror without history
_FETCHED = "bluegreen-fetched"  # its time of change is that of the last successful fetch
_DAMAGED = "bluegreen-damaged"  # set when an object could not be read


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a version names. ``kind`` is "tag", "branch" or "commit"."""

    commit: str
    kind: str


def is_commit(version: str) -> bool:
    """Whether it has the form of a commit's name, abbreviated or not."""
    return _COMMIT.fullmatch(version) is not None


def is_full_commit(version: str) -> bool:
    """Whether it has the form of an unabbreviated commit name."""
    return len(version) in FULL and is_commit(version)


class AmbiguousPrefixError(Exception):
    """Several commits begin like that."""

    def __init__(self, commits: tuple[str, ...]) -> None:
        super().__init__(", ".join(commits))
        self.commits = commits


class Mirror:
    """The mirror at ``directory`` of the repository at ``url``. Use it under the cache lock.

    ``partial``: files are only fetched for the commits that are asked for by `complete`. A mirror
    that has all of them is partial enough; one that lacks some is of no use where it is not wanted.
    ``shallow``: likewise with history, which it need not have; see `Shallow`.
    """

    def __init__(
        self,
        directory: Path,
        url: str,
        git: Git,
        *,
        partial: bool = False,
        shallow: bool = False,
    ) -> None:
        self.directory = directory
        self.url = url
        self._git = git
        self._wanted_partial, self._wanted_shallow = partial, shallow
        self.is_unfiltered = False  # whether the server has said that it gives all or nothing
        self.offered: list[str] | None = None  # tags and branches, where it has not all of them

    async def clear_leftovers(self) -> None:
        """Remove what a killed git left behind: lock files, half packs, half clones."""
        await asyncio.to_thread(self._clear_leftovers)

    def _clear_leftovers(self) -> None:
        # Killed between two renames, a replacement or an exchange has left a mirror by another
        # name, whose place is free.
        for kind, places in (("old", [self.directory]), ("aside", [self.directory, self._aside])):
            for left in self.directory.parent.glob(f".{self.directory.name}.{kind}-*"):
                if free := [place for place in places if not place.exists()]:
                    os.rename(left, free[0])
        for left in self.directory.parent.glob(f".{self.directory.name}.*"):
            remove_tree(left)
        if not self.directory.is_dir():
            return
        for lock in [*self.directory.glob("*.lock"), *self.directory.glob("refs/**/*.lock")]:
            lock.unlink(missing_ok=True)
        for half in self.directory.glob("objects/pack/tmp_*"):
            half.unlink(missing_ok=True)

    async def be_of_this_address(self) -> None:
        """Put a mirror of another address aside; take back the one put aside, if it is of this.

        What the app file no longer names must not stand in for what it names now.
        """
        present = await self._address(self.directory)
        if present == self.url or (present is None and self.directory.exists()):
            return
        wanted = await self._address(self._aside) == self.url
        if wanted or present is not None:
            await asyncio.to_thread(self._exchange, wanted=wanted)

    async def address_before(self) -> str | None:
        """Of a mirror that is there and of no use, as it is of another; None: there is none."""
        for place in (self.directory, self._aside):
            if (found := await self._address(place)) not in (None, self.url):
                return found
        return None

    @property
    def _aside(self) -> Path:
        """Where the mirror of the address before is kept."""
        return self.directory.with_name(f"{self.directory.name}-before")

    def _exchange(self, *, wanted: bool) -> None:
        """Killed between any two of its renames, it is finished or undone at the next use."""
        old = self.new_name("aside" if wanted else "gone")
        present, aside = self.directory, self._aside
        moves = [(present, old), (aside, present), (old, aside)]
        for origin, target in moves if wanted else [(aside, old), (present, aside)]:
            with contextlib.suppress(FileNotFoundError):  # there may be one of them only
                os.rename(origin, target)
        remove_tree(old)

    async def _address(self, mirror: Path) -> str | None:
        """Where it was cloned from; None where there is none, or it cannot be read."""
        origin = await self._git.run(
            "config", "--get", "remote.origin.url", repository=mirror, timeout=LOCAL_TIMEOUT
        )
        return origin.text if origin.ok else None

    async def is_usable(self) -> bool:
        """Whether it is a repository, of that very URL, whole as wanted, and not damaged."""
        if not self.directory.is_dir() or (self.directory / _DAMAGED).exists():
            return False
        if await self._address(self.directory) != self.url:
            return False
        if not self._wanted_partial and await self.is_partial():
            return False
        if not self._wanted_shallow and await self.is_shallow():
            return False
        return (await self._run("rev-parse", "--is-bare-repository")).text == "true"

    async def is_shallow(self) -> bool:
        """Whether it lacks history, and what was not asked for."""
        return (await self._run("config", "--get", SHALLOW)).text == "true"

    async def is_fetched_by_version(self) -> bool:
        """Whether what is wanted of the remote is a version, and not all that it has."""
        return self._wanted_shallow and (not await self.is_usable() or await self.is_shallow())

    async def is_partial(self) -> bool:
        """Whether it may lack files of commits that it has."""
        return (await self._run("config", "--get", "remote.origin.promisor")).text == "true"

    async def update(self, *, timeout: float) -> GitResult | None:
        """Bring branches and tags up to date; None when that was done, else what git said."""
        deadline = asyncio.get_running_loop().time() + timeout
        failure: GitResult | None = None
        if await self.is_usable():
            failure = await self.fetch(timeout)
            if failure is None or failure.timed_out or not await self.is_damaged():
                return failure
        return await self._clone(deadline - asyncio.get_running_loop().time())

    async def fetch(self, timeout: float) -> GitResult | None:
        """Bring a usable one up to date; None when that was done, else what git said."""
        result = await self._git.run_remote(
            "fetch", "--quiet", "--prune", "--force", "--no-auto-gc", "--no-write-fetch-head",
            "--no-recurse-submodules", "--no-show-forced-updates", *await self._origin(),
            *_REFSPECS, repository=self.directory, timeout=timeout,
        )  # fmt: skip
        if not result.ok:
            return result
        self._note(result)
        self.note_fetched()
        return None

    def note_fetched(self) -> None:
        (self.directory / _FETCHED).touch()

    def _note(self, result: GitResult) -> None:
        self.is_unfiltered = any(_NOT_FILTERED in line for line in result.errors)

    async def _clone(self, timeout: float) -> GitResult | None:
        fresh = self.directory.with_name(f".{self.directory.name}.{secrets.token_hex(4)}")
        try:
            # --no-local: through upload-pack, so that no file of the source is linked into ours.
            result = await self._git.run_remote(
                "clone", "--bare", "--quiet", "--no-local", "--template=",
                *([_FILTER] if self._wanted_partial else []), "--", self.url, str(fresh),
                timeout=timeout,
            )  # fmt: skip
            if not result.ok:
                return result
            self._note(result)
            (fresh / _FETCHED).touch()
            await asyncio.to_thread(self.take_in, fresh)
        finally:
            await in_thread(lambda _: remove_tree(fresh), name=f"remove {fresh.name}")
        return None

    def take_in(self, fresh: Path) -> None:
        """Let the repository ``fresh`` be the mirror, durably. Blocking."""
        old = self.new_name("old")
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.directory, old)
        rename_durably(fresh, self.directory)
        remove_tree(old)

    def new_name(self, kind: str) -> Path:
        """Beside it, removed by `clear_leftovers` if it is left there."""
        return self.directory.with_name(f".{self.directory.name}.{kind}-{secrets.token_hex(4)}")

    async def fetch_commit(self, commit: str, *, timeout: float) -> GitResult | None:
        """Ask for one full commit that no branch or tag leads to; None when it is cached now.

        Not every server gives it (uploadpack.allowAnySHA1InWant in git-config(1)).
        """
        result = await self._git.run_remote(
            "fetch", "--quiet", "--no-auto-gc", "--no-write-fetch-head", "--no-tags",
            "--no-recurse-submodules", *await self._origin(),
            f"+{commit}:refs/bluegreen/{commit}", repository=self.directory, timeout=timeout,
        )  # fmt: skip
        return None if result.ok else result

    async def _origin(self) -> tuple[str, ...]:
        """What is fetched from, and without which objects.

        Of a partial mirror by its name, as git knows only by that that objects may be missing.
        """
        if await self.is_shallow():
            return ("--depth=1", "--", self.url)
        return (_FILTER, "origin") if await self.is_partial() else ("--", self.url)

    async def complete(self, commit: str, *, timeout: float) -> GitResult | None:
        """Fetch the files of ``commit`` that are missing; None when all are there, else why not.

        Nothing else ever fetches them: a git that does not run for the remote may reach none.
        Raises SourceError where it cannot be told which are missing.
        """
        if not await self.is_partial() or not (missing := await self._missing(commit)):
            return None
        result = await self._git.run_remote(
            "-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-auto-gc",
            "--no-write-fetch-head", "--no-tags", "--no-recurse-submodules", "--stdin",
            _FILTER, "origin", repository=self.directory, timeout=timeout,
            text="".join(f"{name}\n" for name in missing),
        )  # fmt: skip
        if not result.ok or await self._missing(commit):
            return result
        return None

    async def _missing(self, commit: str) -> list[str]:
        """The objects of a commit's tree that are not there. Raises SourceError."""
        listed = await self._run(
            "rev-list", "--objects", "--no-walk", "--no-object-names", "--missing=print", commit
        )
        if not listed.ok:
            raise await self.unreadable(commit, listed)
        return [name[1:] for name in listed.text.split("\n") if name.startswith("?")]

    async def is_damaged(self) -> bool:
        """Whether objects are missing or unreadable. A walk over all of them; remembers a yes."""
        result = await self._run("fsck", "--connectivity-only", "--no-dangling", "--no-progress")
        if result.ok or result.timed_out:
            return False
        (self.directory / _DAMAGED).touch()
        return True

    async def unreadable(self, commit: str, result: GitResult) -> SourceError:
        """What is said where a git could not read a cached commit; a damaged mirror is marked."""
        if not result.timed_out:
            await self.is_damaged()
        return SourceError(
            f"the files of {commit[:10]} cannot be read from the git cache",
            detail=[result.ending, *result.errors],
            remedy="deploy again: a damaged git cache is made anew from the remote",
        )

    async def tidy(self) -> str | None:
        """Make one pack of many, losing no object; a warning when that fails."""
        packs = await asyncio.to_thread(
            lambda: len(list(self.directory.glob("objects/pack/*.pack")))
        )
        if packs <= MOST_PACKS:
            return None
        result = await self._run("repack", "-a", "-d", "-k", "-q")
        return None if result.ok else f"the git cache could not be repacked: {result.ending}"

    def fetched_at(self) -> str:
        """When the last fetch succeeded, in UTC: for people."""
        try:
            seconds = (self.directory / _FETCHED).stat().st_mtime
        except FileNotFoundError:
            return "an unknown time"
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))

    async def find(self, version: str) -> Found | None:
        """The commit of a checked version: exact tag, then branch, then short commit.

        A full commit is itself, whatever tags and branches are called. Raises
        AmbiguousPrefixError.
        """
        if not self.directory.is_dir():
            return None
        if is_full_commit(version):
            full = await self._commit(version.lower())
            return None if full is None else Found(commit=full, kind="commit")
        for kind, namespace in (("tag", "refs/tags"), ("branch", "refs/heads")):
            if commit := await self._commit(f"{namespace}/{version}"):
                return Found(commit=commit, kind=kind)
        if not is_commit(version):
            return None
        if commit := await self._commit(version.lower()):
            return Found(commit=commit, kind="commit")
        candidates = (await self._run("rev-parse", f"--disambiguate={version.lower()}")).text
        commits = [one for one in candidates.split() if await self._commit(one)]
        if len(commits) > 1:
            raise AmbiguousPrefixError(tuple(commits))
        return None

    async def has_commit(self, commit: str) -> bool:
        """Whether it is a full commit name, and cached."""
        if not is_full_commit(commit) or not self.directory.is_dir():
            return False
        return await self._commit(commit.lower()) is not None

    async def _commit(self, revision: str) -> str | None:
        result = await self._run("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        return result.text if result.ok and result.text else None

    async def names(self) -> list[str]:
        """All tags and branches, the newest first."""
        if self.offered is not None:
            return self.offered
        if not self.directory.is_dir():
            return []
        result = await self._run(
            "for-each-ref", "--sort=-creatordate", "--format=%(refname:lstrip=2)",
            "refs/tags", "refs/heads",
        )  # fmt: skip
        return result.text.split("\n") if result.text else []

    async def check_out(self, commit: str, tree: Path, *, timeout: float) -> GitResult:
        """Write exactly that commit's files into the existing, empty directory ``tree``.

        Through an index of its own, without ``export-ignore`` and without a ``.git``.
        """
        index = self.new_name("index")
        try:
            return await self._git.run(
                f"--work-tree={tree}", "read-tree", "--reset", "-u", commit,
                repository=self.directory, timeout=timeout, env={"GIT_INDEX_FILE": str(index)},
            )  # fmt: skip
        finally:
            index.unlink(missing_ok=True)

    async def read(self, *arguments: str) -> GitResult:
        """Run a git that only reads this mirror."""
        return await self._run(*arguments)

    async def _run(self, *arguments: str) -> GitResult:
        return await self._git.run(*arguments, repository=self.directory, timeout=LOCAL_TIMEOUT)
