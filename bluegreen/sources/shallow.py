"""Mirrors without history: of each version that was asked for its commit, and nothing else.

Which versions there are is asked of the remote, as such a mirror cannot say. It is the mirror of
`Mirror` in all else: what has been fetched is kept, and found again without the remote.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bluegreen.errors import SourceError
from bluegreen.sources.advertised import Advertised, advertised
from bluegreen.sources.git_command import Git, GitResult
from bluegreen.sources.interruptible import in_thread
from bluegreen.sources.mirror import FULL, SHALLOW, Mirror, is_full_commit
from bluegreen.sources.removal import remove_tree


def _has_none(failure: GitResult) -> bool:
    """Whether the remote has answered that it has no such commit."""
    return any("not our ref" in line for line in failure.errors)


@dataclass(frozen=True, kw_only=True)
class Shallow:
    """Brings ``mirror`` up to date in what is asked for. Use it under the cache lock."""

    mirror: Mirror
    git: Git

    async def update(self, version: str, wanted: str, *, timeout: float) -> GitResult | None:
        """Fetch ``wanted``, a full commit or ``version`` itself; ``timeout`` in seconds.

        None when what the remote has of it is there now, if anything; else what git said. A commit
        is fetched by the tag or branch ``version``, which its signature may be on, where that
        leads to it; otherwise by itself, which not every server allows.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        offered = await advertised(self.git, self.mirror.url, timeout=timeout)
        if isinstance(offered, GitResult):
            return offered
        self.mirror.offered = offered.names
        fresh = not await self.mirror.is_usable()
        if fresh:
            await self._make_empty(offered)
        failure = await self._fetch(version, wanted, offered, deadline)
        if failure is None or failure.timed_out or fresh or not await self.mirror.is_damaged():
            return failure
        await self._make_empty(offered)
        return await self._fetch(version, wanted, offered, deadline)

    async def _fetch(
        self, version: str, wanted: str, offered: Advertised, deadline: float
    ) -> GitResult | None:
        await self._prune(offered)
        left = deadline - asyncio.get_running_loop().time()
        ref = offered.ref(version)
        by_name = wanted == version or wanted.lower() == offered.commit(version)
        if is_full_commit(version) or (is_full_commit(wanted) and not by_name):
            failure = await self.mirror.fetch_commit(wanted.lower(), timeout=left)
            return None if failure is not None and _has_none(failure) else failure
        return None if ref is None else await self._fetch_ref(ref, left)

    async def _prune(self, offered: Advertised) -> None:
        """Forget the tags and branches that the remote has no more."""
        listed = await self.mirror.read(
            "for-each-ref", "--format=%(refname)", "refs/tags", "refs/heads"
        )
        if gone := [name for name in listed.text.split() if name not in offered.objects]:
            await self.git.run(
                "update-ref", "--stdin", repository=self.mirror.directory,
                text="".join(f"delete {name}\n" for name in gone),
            )  # fmt: skip

    async def _fetch_ref(self, ref: str, timeout: float) -> GitResult | None:
        """Bring one branch or tag up to date. What it leads to is kept when it moves on."""
        result = await self.git.run_remote(
            "fetch", "--quiet", "--force", "--no-auto-gc", "--no-write-fetch-head", "--no-tags",
            "--no-recurse-submodules", "--no-show-forced-updates", "--depth=1", "--",
            self.mirror.url, f"+{ref}:{ref}", repository=self.mirror.directory, timeout=timeout,
        )  # fmt: skip
        if not result.ok:
            return result
        self.mirror.note_fetched()
        commit = (await self.mirror.read("rev-parse", "--verify", f"{ref}^{{commit}}")).text
        if is_full_commit(commit):
            await self.git.run(
                "update-ref", f"refs/bluegreen/{commit}", commit, repository=self.mirror.directory
            )
        return None

    async def _make_empty(self, offered: Advertised) -> None:
        fresh = self.mirror.new_name("fresh")
        kind = "sha1" if offered.digits == FULL[0] else "sha256"
        try:
            made = await self.git.run(
                "init", "--bare", "--quiet", "--template=", f"--object-format={kind}", "--",
                str(fresh),
            )  # fmt: skip
            for name, value in (("remote.origin.url", self.mirror.url), (SHALLOW, "true")):
                if made.ok:
                    made = await self.git.run("config", name, value, repository=fresh)
            if not made.ok:
                raise SourceError(
                    f"the git cache {self.mirror.directory} cannot be made: {made.ending}",
                    detail=made.errors,
                    remedy="see to what git says, then deploy again",
                )
            await asyncio.to_thread(self.mirror.take_in, fresh)
        finally:
            await in_thread(lambda _: remove_tree(fresh), name=f"remove {fresh.name}")
