"""The users of this host that apps run as."""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass

from bluegreen.errors import ConfigError
from bluegreen.host.places import DAEMON_USER


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user and its own group, by name and by number."""

    user: str
    group: str
    uid: int
    gid: int


def find(user: str) -> Account | None:
    """The account of that name; None when the host has none."""
    try:
        entry = pwd.getpwnam(user)
        group = grp.getgrgid(entry.pw_gid).gr_name
    except KeyError:
        return None
    return Account(user=user, group=group, uid=entry.pw_uid, gid=entry.pw_gid)


def daemon_account() -> Account:
    """The daemon's own. Raises ConfigError when bluegreen is not installed as a service."""
    account = find(DAEMON_USER)
    if account is None:
        raise ConfigError(
            f"this host has no user {DAEMON_USER}, as whom the daemon runs",
            remedy="install bluegreen first (deploy/install), or create it: "
            f"useradd --system --home-dir /var/lib/bluegreen {DAEMON_USER}",
        )
    return account
