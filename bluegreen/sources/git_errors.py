"""What an operator reads when git fails: the cause, git's last words, what to do next."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from bluegreen.errors import SourceError
from bluegreen.sources.disk_space import says_full, shortage
from bluegreen.sources.git_command import GitResult
from bluegreen.sources.mirror import Found, Mirror
from bluegreen.sources.remote import Remote
from bluegreen.sources.submodules import Part

MOST_NAMES = 5  # versions that an error suggests

_REFUSED = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|Permission denied|"
    r"Host key verification|error: 40[13]|terminal prompts disabled"
)
_ABSENT = re.compile(
    r"not found|does not (?:exist|appear to be)|No such file|error: 404|not a git repository"
)

_NOT_READ = "Could not read from remote repository"


def unavailable(
    app: str,
    version: str,
    remote: Remote,
    cache: Path,
    failure: GitResult,
    *,
    before: str | None = None,
) -> SourceError:
    """The remote failed, and the version is not cached.

    ``before``: another address, of which there is a mirror.
    """
    text = "\n".join(failure.errors)
    detail = [*failure.errors, f"{version} is not in the cache, and so cannot be deployed without"]
    if before is not None:
        detail.append(f"what was fetched from {before} does not stand in for it")
    if says_full(failure.errors):
        detail.append(shortage(cache))
        remedy = "free some space there, then deploy again"
    elif _REFUSED.search(text):
        remedy = "give the user that runs the daemon a key or token for it, and its host key"
    elif _ABSENT.search(text):
        remedy = "correct git in the [source] table of the app file"
    elif before is not None:
        remedy = (
            "make sure that this host reaches it, or that git in [source] names what was meant, "
            "then deploy again"
        )
    else:
        remedy = (
            "make sure that this host reaches it, then deploy again; a version that was deployed "
            "before needs no remote"
        )
    return SourceError(
        f"{app}: {version} could not be fetched from {remote.url}: {failure.ending}",
        detail=detail,
        remedy=remedy,
    )


def stale(version: str, remote: Remote, mirror: Mirror, found: Found, failure: GitResult) -> str:
    """The warning that a cached version is used because the remote failed."""
    reason = f"{failure.ending}: {_cause(failure)}" if failure.errors else failure.ending
    text = (
        f"{remote.url} could not be fetched ({reason}); {found.kind} {version} is used as cached, "
        f"last fetched at {mirror.fetched_at()}"
    )
    return f"{text}: the branch may have moved since" if found.kind == "branch" else text


def _cause(failure: GitResult) -> str:
    """The line that says why. The last ones are advice, and a transport speaks before git does."""
    fatal = [line for line in failure.errors if line.startswith("fatal:")]
    telling = [line for line in fatal if _NOT_READ not in line]
    if telling:
        return telling[0]
    before = failure.errors.index(fatal[0]) - 1 if fatal else -1
    return failure.errors[before]


def unknown(
    app: str, version: str, remote: Remote, names: Sequence[str], *, shallow: bool = False
) -> SourceError:
    """The remote answered, and has no such version."""
    near = difflib.get_close_matches(version, names, n=MOST_NAMES) or names[:MOST_NAMES]
    return SourceError(
        f"{app}: there is no tag, branch or commit {version} in {remote.url}",
        detail=[f"there are, among others: {', '.join(near)}"] if near else ["it has no versions"],
        remedy="name one that exists, or push this one and deploy again; of a commit, "
        + ("all digits, as the mirror is shallow" if shallow else "at least 7 digits"),
    )


def ambiguous(app: str, version: str, commits: Sequence[str]) -> SourceError:
    return SourceError(
        f"{app}: several commits begin with {version}",
        detail=list(commits),
        remedy="name more digits of the one you mean",
    )


def lost(app: str, commit: str) -> SourceError:
    return SourceError(
        f"{app}: the commit {commit[:10]} is no longer in the git cache",
        remedy="deploy it again: it is fetched anew",
    )


def not_laid_out(
    app: str, part: Part, tree: Path, result: GitResult, *, damaged: bool
) -> SourceError:
    """A checkout failed in the middle."""
    detail = [*result.errors, shortage(tree)]
    what = f"{part.commit[:10]} of the submodule {part.path}" if part.links else part.commit[:10]
    if damaged:
        detail.append("objects in the git cache are missing or unreadable")
        remedy = "deploy again: the git cache is then made anew from the remote"
    else:
        remedy = "free some space if the disk is full, then deploy again"
    return SourceError(
        f"{app}: the files of {what} could not be written: {result.ending}",
        detail=detail,
        remedy=remedy,
    )
