"""The key or token by which git is let in: named to git by its file, never by what is in it.

A key is given to ssh as a path. A token is read from its file by a credential helper, which git
asks for one host only: neither a redirect nor a submodule elsewhere is sent it, and it stands on no
command line, in no environment, in no configuration and in no mirror.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from bluegreen.config.source_section import Source
from bluegreen.sources import access_errors
from bluegreen.sources.remote import Remote
from bluegreen.sources.tokens import read_token

CONNECT_TIMEOUT = 15  # seconds

_SSH = (
    "ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_TIMEOUT}",
    "-o", f"ServerAliveInterval={CONNECT_TIMEOUT}", "-o", "ServerAliveCountMax=2",
)  # fmt: skip
# Git has it run by a shell, and adds what it wants: get, store or erase. Nothing is put into it.
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$BLUEGREEN_TOKEN_USER" '
    '"$(cat "$BLUEGREEN_TOKEN_FILE")"; }; f'
)


@dataclass(frozen=True, kw_only=True)
class GitAccess:
    """What [source] says of it; nothing: whatever the daemon's user has."""

    ssh_key: str | None = None
    known_hosts: str | None = None
    token_file: str | None = None
    token_user: str = ""

    @classmethod
    def of(cls, source: Source) -> GitAccess:
        token, key = source.token, source.ssh_key
        return cls(
            ssh_key=None if key is None else key.file,
            known_hosts=source.known_hosts,
            token_file=None if token is None else token.file,
            token_user="" if token is None else token.user,
        )

    @property
    def has_ssh(self) -> bool:
        """Whether the app file says how ssh is to be run."""
        return self.ssh_key is not None or self.known_hosts is not None

    def ssh_command(self) -> str:
        """For GIT_SSH_COMMAND, which a shell splits."""
        words = list(_SSH)
        if self.ssh_key is not None:
            words += ["-i", self.ssh_key, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
        if self.has_ssh:
            words += ["-o", "StrictHostKeyChecking=yes", "-o", "ForwardAgent=no"]
        if self.known_hosts is not None:
            words += ["-o", f"UserKnownHostsFile={self.known_hosts}"]
            words += ["-o", "GlobalKnownHostsFile=/dev/null"]
        return shlex.join(words)

    def environment(self, remote: Remote) -> Mapping[str, str]:
        """What a git that speaks to ``remote`` is told of the token."""
        if self.token_file is None:
            return {}
        parts = urlsplit(remote.url)
        place = f"credential.{parts.scheme}://{parts.netloc}.helper"
        return {
            "BLUEGREEN_TOKEN_FILE": self.token_file,
            "BLUEGREEN_TOKEN_USER": self.token_user,
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": place,
            "GIT_CONFIG_VALUE_0": "",  # the helpers of the user's own configuration are not asked
            "GIT_CONFIG_KEY_1": place,
            "GIT_CONFIG_VALUE_1": _HELPER,
        }

    def look(self) -> str | None:
        """The token, so that it can be kept out of what is shown; None: there is none. Blocking.

        Raises SourceError on a file that cannot be used.
        """
        for key, file in (("ssh_key", self.ssh_key), ("known_hosts", self.known_hosts)):
            if file is not None and not os.access(file, os.R_OK):
                raise access_errors.unreadable(key, file)
        return None if self.token_file is None else read_token(self.token_file)
