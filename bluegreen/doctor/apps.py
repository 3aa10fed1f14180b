"""The configuration, the secrets that it names, and who holds the ports of the apps."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bluegreen.cli.check import installed
from bluegreen.cli.strangers import strangers
from bluegreen.config.load import Configuration, InvalidConfiguration, check_files, load_all
from bluegreen.config.secret_file import SecretFile
from bluegreen.config.settings import AppSettings, DaemonSettings
from bluegreen.doctor.nouns import Look
from bluegreen.doctor.ports import Holder, holders
from bluegreen.host import daemons_files, refusals
from bluegreen.host.accounts import find
from bluegreen.host.places import DAEMON_USER
from bluegreen.instances import unit_keys
from bluegreen.layout import Layout
from bluegreen.model import Slot
from bluegreen.supervisors.unit_names import service_unit
from bluegreen.words import counted


def look_at_apps(layout: Layout) -> list[Look]:
    """Blocking."""
    look = Look("configuration")
    on_host = layout.is_whole and find(DAEMON_USER) is not None
    judge = refusals.judge_with_files if on_host else None
    for problem in check_files([], layout, judge=judge):
        file = f"{problem.file}:{problem.line}" if problem.line else str(problem.file)
        look.find(": ".join(filter(None, (file, problem.key, problem.wrong))), problem.right)
    try:
        configuration = load_all(layout)
    except InvalidConfiguration:
        return [look]
    look.seen.append(counted(len(installed(layout)), "file"))
    apps = list(configuration.apps.values())
    return [look, _secrets(configuration, apps), _ports(layout, apps)]


def _secrets(configuration: Configuration, apps: Iterable[AppSettings]) -> Look:
    """Whoever else may read them. What those that should may not is told with the configuration."""
    look = Look("secrets")
    files = dict.fromkeys(file for settings in apps for file in _secret_files(settings))
    files |= dict.fromkeys(_of_daemon(configuration.daemon))
    for file in files:
        try:
            mode = stat.S_IMODE(os.stat(file).st_mode)
            closed = _is_closed(Path(file))
        except FileNotFoundError:
            continue  # told with the configuration
        except PermissionError:
            look.unseen.append(file)
            continue
        if mode & 0o007 and not closed:
            look.find(f"every user of this host can read {file}", f"chmod o= {file}")
    look.seen.append(f"{len(files)} looked at")
    return look


def _secret_files(settings: AppSettings) -> Iterator[str]:
    for places in (refusals.files_of(settings), daemons_files.files_of(settings)):
        yield from (file for _, file in places)


def _of_daemon(settings: DaemonSettings) -> Iterator[str]:
    for receiver in settings.notify:
        yield from (secret.file for secret in receiver.secret)
        if isinstance(receiver.url, SecretFile):
            yield receiver.url.file


def _is_closed(file: Path) -> bool:
    """Whether a directory above it lets nobody else through."""
    return any(not parent.stat().st_mode & stat.S_IXOTH for parent in file.resolve().parents)


def _ports(layout: Layout, apps: Iterable[AppSettings]) -> Look:
    look = Look("ports")
    free = "end what holds it, or name another port in the app file"
    if not layout.is_whole:
        for settings in apps:
            for line in strangers(settings, layout):
                look.find(f"{settings.name}: {line}", free)
    elif os.geteuid() != 0:
        look.unseen = ["who holds the ports of apps"]
    else:
        held = holders()
        for settings in apps:
            for line in _in_the_way(settings, layout, held):
                look.find(f"{settings.name}: {line}", free)
    if not look.findings and not look.unseen:
        look.seen.append("none is held by a stranger")
    return look


def _in_the_way(
    settings: AppSettings, layout: Layout, held: Mapping[int, Sequence[Holder]]
) -> Iterator[str]:
    """Under systemd each port is its unit's."""
    instances = {name: service.instances for name, service in settings.services.items()}
    for slot in Slot:
        for key in unit_keys(settings.name, slot, instances):
            address = settings.services[key.service].address(slot, layout.run, key.instance)
            if address is None or address.port is None:
                continue
            for holder in held.get(address.port, ()):
                if not holder.is_in(service_unit(key)):
                    yield f"port {address.port} is held by {holder}"
