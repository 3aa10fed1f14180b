"""What a systemd host asks of app files beyond what every host does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from bluegreen.config.document import Document, read_document
from bluegreen.config.environment_files import file_findings
from bluegreen.config.placeholders import unknown_placeholders
from bluegreen.config.places import Place
from bluegreen.config.problems import Finding, Problem
from bluegreen.config.secret_file import SecretFile
from bluegreen.config.secrets import looks_secret
from bluegreen.config.settings import AppSettings, Environment
from bluegreen.errors import ConfigError
from bluegreen.host.accounts import Account, find
from bluegreen.host.daemons_files import unreadable
from bluegreen.host.ownership import changeable_by_others
from bluegreen.host.places import DAEMON_USER
from bluegreen.host.quoting import is_path, is_writable
from bluegreen.layout import Layout
from bluegreen.model import Slot, SwitchMode, UnitKey
from bluegreen.supervisors.unit_names import job_template, service_unit


def problems(apps: Mapping[str, AppSettings], layout: Layout) -> list[Problem]:
    """Everything in ``apps`` that cannot be done under systemd. Reads the files again: blocking."""
    files = [(_document(layout, name), settings) for name, settings in apps.items()]
    judge(files)
    return [problem for document, _ in files for problem in document.problems()]


def judge(files: Sequence[tuple[Document, AppSettings]]) -> None:
    """Add to each app file what of it cannot be done under systemd. Blocking.

    What whoever asks may not look at is left out: see `unseen`.
    """
    claims: dict[str, str] = {}
    for document, settings in files:
        document.wrong.extend(_user(settings))
        document.wrong.extend(_unit_names(settings, claims))
        document.wrong.extend(_texts(settings))
        document.wrong.extend(_paths(settings))
        document.wrong.extend(_others_files(settings))
        document.wrong.extend(_switch(settings))


def judge_with_files(files: Sequence[tuple[Document, AppSettings]]) -> None:
    """As `judge`; and what keeps nothing from being applied, but from working then. Blocking."""
    judge(files)
    for document, settings in files:
        document.wrong.extend(unreadable(settings))


def unseen(settings: AppSettings) -> list[str]:
    """The files that variables come from and that whoever asks may not look at. Blocking."""
    return [file for _, file in files_of(settings) if not _may_look(Path(file))]


def _may_look(file: Path) -> bool:
    try:
        changeable_by_others(file)
    except PermissionError:
        return False
    return os.access(file, os.R_OK) or not os.path.lexists(file)


def warnings(apps: Mapping[str, AppSettings], layout: Layout) -> list[str]:
    """What is done as it was asked for, and an operator may not have meant.

    Reads the files again, and those that variables come from: blocking.
    """
    said = []
    for name, settings in apps.items():
        document = _document(layout, name)
        document.wrong.extend(file_findings(settings, layout.remedies))
        document.wrong.extend(unreadable(settings))
        said += [str(problem) for problem in document.problems()]
    users: dict[str | None, str] = {}
    for name, settings in apps.items():
        other = users.setdefault(settings.app.user, name)
        if other != name:
            said.append(
                f"{other} and {name} run as one user, {settings.app.user}: "
                "each can read the other's secrets"
            )
        for place, table in chain(_tables(settings), _defaults(settings)):
            said += [
                f"{name}: {place}.{variable} is text, which every user of this host can read; "
                'keep a secret in a file: { file = "/path" }'
                for variable, value in table.items()
                if isinstance(value, str) and looks_secret(variable)
            ]
    return said


def account_of(settings: AppSettings) -> Account:
    """The account of an app without problems. Raises ConfigError when it has just gone."""
    account = find(settings.app.user or "")
    if account is None:
        raise ConfigError(
            f"this host has no user {settings.app.user}, as whom {settings.name} runs",
            remedy=f"create it: useradd --system --user-group {settings.app.user}",
        )
    return account


def _document(layout: Layout, name: str) -> Document:
    return read_document(layout.app_files / f"{name}.toml")


def _user(settings: AppSettings) -> Iterator[Finding]:
    place: Place = ("app", "user")
    user = settings.app.user
    if user is None:
        yield Finding(
            place=place,
            wrong="no user is named, and under systemd an app does not run as the daemon's",
            right='Write user = "NAME" under [app]',
        )
    elif (account := find(user)) is None:
        yield Finding(
            place=place,
            wrong=f'this host has no user "{user}" with a group of its own',
            right=f"Create it: useradd --system --user-group {user}",
        )
    elif account.uid == 0 or user == DAEMON_USER:
        yield Finding(
            place=place,
            wrong=f"an app may not run as {user}",
            right="Give the app a user of its own",
        )


def _unit_names(settings: AppSettings, claims: dict[str, str]) -> Iterator[Finding]:
    """Names of units are made of two names with dashes in them, so two pairs may make one."""
    app = settings.name
    names: list[tuple[Place, str, str]] = [
        (("app", "name"), job_template(app), f"the jobs of app {app}")
    ]
    names += [
        (
            ("services", service),
            service_unit(UnitKey(app=app, slot=Slot.BLUE, service=service)),
            f"services.{service} of app {app}",
        )
        for service in settings.services
    ]
    for place, unit, whose in names:
        base = unit.partition("@")[0]
        holder = claims.setdefault(base, whose)
        if holder != whose:
            yield Finding(
                place=place,
                wrong=f"its units would be called {base}@…, as those of {holder} are",
                right="Rename the service, or the app",
            )


def _texts(settings: AppSettings) -> Iterator[Finding]:
    texts: list[tuple[Place, str]] = [
        (("services", name, "command"), service.command)
        for name, service in settings.services.items()
    ]
    for dotted, table in _tables(settings):
        parts = tuple(dotted.split("."))
        texts += [((*parts, n), value) for n, value in table.items() if isinstance(value, str)]
    for place, text in texts:
        if _asks_for_version(text):
            yield Finding(
                place=place,
                wrong="{version} is not known to a unit, which holds for every release of its slot",
                right="Read the variable BLUEGREEN_VERSION in the service itself",
            )
        if not is_writable(text):
            yield Finding(
                place=place,
                wrong="a unit cannot carry control characters other than tabs and line ends",
                right='Keep the value in a file: { file = "/path" }',
            )


def _switch(settings: AppSettings) -> Iterator[Finding]:
    if settings.nginx.switch is SwitchMode.RELOAD:
        yield Finding(
            place=("nginx", "switch"),
            wrong="nginx's files are root's on a host, so that the daemon cannot rewrite them",
            right='Leave it out: with "marker" nothing is rewritten, and nothing reloaded',
        )


def _paths(settings: AppSettings) -> Iterator[Finding]:
    for place, path in files_of(settings):
        if not is_path(path):
            yield Finding(
                place=place,
                wrong="a unit cannot name a path with spaces, quotes or backslashes",
                right="Give the file a plainer name",
            )


def _others_files(settings: AppSettings) -> Iterator[Finding]:
    """systemd reads these as root: whoever can put a link there would have it read any file."""
    for place, file in files_of(settings):
        changeable = None
        with contextlib.suppress(PermissionError):
            changeable = changeable_by_others(Path(file))
        if changeable is not None:
            yield Finding(
                place=place,
                wrong=f"systemd reads it as root, and {changeable} is not only root's to change",
                right="Keep it where only root writes, such as /etc/bluegreen/secrets",
            )


def files_of(settings: AppSettings) -> Iterator[tuple[Place, str]]:
    """Those that variables come from, each with where it is named."""
    tables: list[tuple[Place, Environment, str | None]] = [
        (("env",), settings.env, settings.env_file)
    ]
    owners: Sequence[tuple[Place, Environment, str | None]] = [
        *((("build", i), step.env, step.env_file) for i, step in enumerate(settings.build)),
        *((("services", n), own.env, own.env_file) for n, own in settings.services.items()),
    ]
    for place, table, env_file in [*tables, *owners]:
        if env_file is not None:
            yield (*place, "env_file"), env_file
        inside = place if place == ("env",) else (*place, "env")
        for name, value in table.items():
            if isinstance(value, SecretFile):
                yield (*inside, name), value.file


def _tables(settings: AppSettings) -> Iterable[tuple[str, Environment]]:
    """The tables whose texts are written into units."""
    yield "env", settings.env
    for name, service in settings.services.items():
        yield f"services.{name}.env", service.env


def _defaults(settings: AppSettings) -> Iterable[tuple[str, Mapping[str, str]]]:
    """The tables whose texts are beside the units, for all to read."""
    return ((f"upgrade[{number}].env", rule.env) for number, rule in enumerate(settings.upgrade))


def _asks_for_version(text: str) -> bool:
    return "{version}" in unknown_placeholders(text, ())
