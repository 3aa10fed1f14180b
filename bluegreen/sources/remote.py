"""Git addresses: which are given to git, and how none of them shows a secret."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bluegreen.config.git_url import check_git_url

_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s]*@")


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A repository's address, which holds no credentials."""

    url: str

    @property
    def is_local(self) -> bool:
        """Whether it is a path of this host."""
        return self.url.startswith("/") or self.url.lower().startswith("file:")


def parse_remote(text: str) -> Remote:
    """An address from the app file or from ``.gitmodules``, by the rule of the app file.

    Raises ValueError, whose text does not repeat the address: it may hold a password.
    """
    if not text:
        raise ValueError("it is empty")
    return Remote(url=check_git_url(text))


def redact(text: str) -> str:
    """``text`` without the credentials of URLs: git's configuration may put some into them."""
    return _USERINFO.sub(r"\1***@", text)


def join_remote(base: Remote, address: str) -> str:
    """A submodule's address: ``./x`` and ``../x`` are relative to its superproject's.

    The rule of gitmodules(5), as git's ``relative_url`` has it. Raises ValueError when the address
    climbs above the host or, for a path, above the root.
    """
    if not address.startswith(("./", "../")):
        return address
    url = base.url.rstrip("/")
    while True:
        if address.startswith("./"):
            address = address[2:]
        elif address.startswith("../"):
            address = address[3:]
            url = _parent(url)
        else:
            return f"{url}{address}" if url.endswith(":") else f"{url}/{address}"


def _parent(url: str) -> str:
    head, slash, _ = url.rpartition("/")
    if slash and not head.endswith("/"):
        return head
    head, colon, tail = url.rpartition(":")
    if colon and tail and "/" not in tail:
        return f"{head}:"
    raise ValueError(f"it climbs above {url or '/'}")
