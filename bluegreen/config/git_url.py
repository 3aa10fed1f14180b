"""Which addresses of git repositories are taken.

git runs programs for some of them: ``ext::COMMAND``, a host that begins with a dash (an option of
ssh). See gitremote-helpers(7) and CVE-2017-1000117. And an app file is read by many, so a URL in
it holds no credentials.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from bluegreen.config.refusal import ValueRefusedError

SCHEMES = frozenset({"https", "http", "ssh", "git", "file"})

_RIGHT = (
    'Write a URL (https://…, ssh://…, git://…, file:///…), "user@host:path" or an absolute path'
)
_TRANSPORT_HELPER = re.compile(r"[^/:\[]*::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCP_LIKE = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!-|//).+")


def check_git_url(url: str) -> str:
    """Return ``url``; raises ValueRefusedError, whose text never repeats it."""
    if any(ord(character) < 32 or ord(character) == 127 for character in url):
        raise ValueRefusedError("a git address cannot hold control characters", _RIGHT)
    if url.startswith("-"):
        raise ValueRefusedError(
            "git would take an address that begins with a dash for an option", _RIGHT
        )
    if _TRANSPORT_HELPER.match(url):
        raise ValueRefusedError(
            "transport helpers such as ext:: run commands and are not taken", _RIGHT
        )
    if match := _SCHEME.match(url):
        _check_url(url, match[1].lower())
    elif not url.startswith("/") and not _SCP_LIKE.fullmatch(url):
        raise ValueRefusedError("this is not the address of a git repository", _RIGHT)
    return url


def is_ssh(url: str) -> bool:
    """Whether git reaches it by ssh."""
    return url.lower().startswith("ssh://") or (
        not url.startswith("/") and _SCHEME.match(url) is None
    )


def check_ssh_path(path: str) -> str:
    """A file that ssh is given by name: of its options, blanks, % and quotes mean something."""
    if not re.fullmatch(r"/[A-Za-z0-9._/@+-]+", path) or ".." in path.split("/"):
        raise ValueError("an absolute path of letters, digits and . _ / @ + -")
    return path


def check_token_user(user: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._@+-]{1,100}", user):
        raise ValueError("a user's name of letters, digits and . _ @ + -")
    return user


def _check_url(url: str, scheme: str) -> None:
    if scheme not in SCHEMES:
        raise ValueRefusedError(f"git addresses of the scheme {scheme}:// are not taken", _RIGHT)
    if " " in url:
        raise ValueRefusedError("a URL cannot hold spaces", "Write %20 for a space")
    parts = _split(url)
    if scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise ValueRefusedError("a file URL names no host", "Write file:///absolute/path")
        return
    if parts.password is not None or (scheme in ("http", "https") and parts.username is not None):
        raise ValueRefusedError(
            "the URL holds credentials",
            "Keep tokens out of the app file: name the file that holds one, "
            'token = { file = "/path" }',
        )
    if not parts.hostname or parts.hostname.startswith("-") or (parts.username or "")[:1] == "-":
        raise ValueRefusedError("the URL names no usable host", _RIGHT)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # is only parsed when it is asked for
    except ValueError:
        # Without the cause: its text quotes the URL.
        raise ValueRefusedError("the URL's host or port cannot be read", _RIGHT) from None
    return parts
