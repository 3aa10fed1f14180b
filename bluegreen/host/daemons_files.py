"""The files that the daemon itself reads for an app: it is a user without privileges."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bluegreen.config.places import Place
from bluegreen.config.problems import Finding
from bluegreen.config.settings import AppSettings
from bluegreen.host.accounts import Account, daemon_account

# Directories of the daemon's own, which the installation makes.
_MADE_FOR = {"webhook": "webhooks", "status": "notify", "source": "sources"}


def unreadable(settings: AppSettings) -> Iterator[Finding]:
    """Each of them that modes keep the daemon from, as far as whoever asks may look. Blocking.

    Raises ConfigError where there is such a file and no daemon's user.
    """
    for place, file in files_of(settings):
        daemon = daemon_account()
        if (closed := _closed_to(daemon, Path(file))) is not None:
            yield Finding(
                place=place,
                wrong=f"the daemon, which is the user {daemon.user}, may not read {file}: "
                f"{closed} is closed to it",
                right="Keep it in a directory that is that user's alone, mode 0500, such as "
                f"/etc/bluegreen/{_MADE_FOR[str(place[0])]}: "
                f"chown {daemon.user} {file} && chmod 0400 {file}",
            )


def files_of(settings: AppSettings) -> Iterator[tuple[Place, str]]:
    """Those that the daemon reads, each with where it is named."""
    for index, webhook in enumerate(settings.webhook):
        for secret in webhook.secret:
            yield ("webhook", index, "secret"), secret.file
    for index, status in enumerate(settings.status):
        yield ("status", index, "token"), status.token.file
    for name, key in (("token", settings.source.token), ("ssh_key", settings.source.ssh_key)):
        if key is not None:
            yield ("source", name), str(key.file)


def _closed_to(account: Account, file: Path) -> Path | None:
    """What on the way to ``file``, or it itself; None: nothing, or it is not there."""
    groups = os.getgrouplist(account.user, account.gid)
    path = Path(os.path.realpath(file))
    try:
        for step in (*reversed(path.parents), path):
            found = step.stat()
            wanted = stat.S_IRUSR if step == path else stat.S_IXUSR
            if found.st_uid != account.uid:
                wanted >>= 3 if found.st_gid in groups else 6
            if not found.st_mode & wanted:
                return step
    except OSError:
        pass
    return None
