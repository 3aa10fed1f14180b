"""The git repository of a directory: where its releases come from, without its credentials."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bluegreen.config.git_url import check_git_url
from bluegreen.config.refusal import ValueRefusedError
from bluegreen.survey.directory import AppDirectory, read_text
from bluegreen.survey.nouns import Origin

GIT_LIMIT = 10.0  # seconds


def find_origin(directory: AppDirectory) -> Origin:
    """The URL of the remote ``origin``; the repository itself where it has none."""
    if not os.path.lexists(directory.path / ".git"):
        return Origin(git=None, remarks=_above(directory.path))
    url, remark = _remote(_configuration(directory))
    if url is None:
        return _checked(
            str(directory.path),
            remark or "The repository has no remote called origin: this is the repository itself.",
        )
    if "://" not in url and not url.startswith("/") and ":" not in url.partition("/")[0]:
        url = os.path.normpath(directory.path / url)
    plain, removed = without_credentials(url)
    said = "The remote origin; its credentials were left out: use git's credential helper, or ssh."
    return _checked(plain, said if removed else "The remote origin.")


def without_credentials(url: str) -> tuple[str, bool]:
    """``url`` without a password, and over HTTP without a user; whether there was one."""
    if "://" not in url:
        return url, False
    parts = urlsplit(url)
    user_info, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, False
    user = user_info.partition(":")[0]
    keep = f"{user}@" if user and parts.scheme.lower() not in ("http", "https") else ""
    return urlunsplit(parts._replace(netloc=f"{keep}{host}")), f"{user_info}@" != keep


def _checked(url: str, remark: str) -> Origin:
    if not url.isprintable():
        return Origin(git=None, remarks=("the repository's address cannot be written down",))
    try:
        return Origin(git=check_git_url(url), remarks=(remark,))
    except ValueRefusedError as error:
        # Never the address itself: it could hold a credential.
        return Origin(git=None, remarks=(f"the remote origin cannot be used: {error.wrong}",))


def _above(path: Path) -> tuple[str, ...]:
    for parent in path.parents:
        if os.path.lexists(parent / ".git"):
            return (
                f"the git repository begins at {parent}: paths of an app file are relative to it; "
                "run bluegreen init there to deploy from it",
            )
    return ()


def _configuration(directory: AppDirectory) -> Path:
    """The repository's settings, also of a worktree or submodule (gitrepository-layout(5))."""
    git = directory.path / ".git"
    pointed = re.match(r"gitdir: (.+)", directory.read(".git") or "") if git.is_file() else None
    if pointed:
        git = directory.path / pointed[1].strip()
        common = read_text(git / "commondir", f"{git}/commondir", directory.unread)
        git /= (common or "").strip()
    return git / "config"


def _remote(configuration: Path) -> tuple[str | None, str | None]:
    """The URL, or a remark on why it is not known.

    The file is read as a file: git then follows no include and asks no questions of ownership,
    and nothing that the repository configures is run.
    """
    if not os.path.isfile(configuration):
        return None, None
    try:
        asked = subprocess.run(
            ["git", "config", "--file", str(configuration), "--get", "remote.origin.url"],
            capture_output=True, text=True, errors="replace", timeout=GIT_LIMIT, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"git could not be asked for the remote origin ({type(error).__name__})"
    return asked.stdout.strip() or None, None
