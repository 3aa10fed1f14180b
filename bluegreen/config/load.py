"""From TOML files to settings, or to everything that is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from bluegreen.config.conflicts import Claimant, claimed_besides, conflicts
from bluegreen.config.consistency import inconsistencies
from bluegreen.config.document import Document, read_document
from bluegreen.config.draft import draft
from bluegreen.config.environment_files import file_findings
from bluegreen.config.explain import findings
from bluegreen.config.problems import Finding, InvalidConfiguration, Problem
from bluegreen.config.section import Section
from bluegreen.config.settings import AppSettings, DaemonSettings
from bluegreen.layout import Layout

__all__ = [
    "Configuration",
    "InvalidConfiguration",
    "Problem",
    "check_files",
    "load_all",
    "load_app",
]

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """All of a root's files. ``apps`` is by name, in its order.

    ``texts`` are the files as they were read, by name; ``daemon_text`` is None where there is none.
    """

    daemon: DaemonSettings
    apps: Mapping[str, AppSettings]
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    daemon_text: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class _AppFile:
    document: Document
    claimant: Claimant
    settings: AppSettings | None


Judge = Callable[[Sequence[tuple[Document, AppSettings]]], None]


def load_app(path: Path) -> AppSettings:
    """The settings of one app file, checked by itself.

    Raises InvalidConfiguration with all problems of the file. Blocking, as all of this module.
    """
    app = _read_app(path)
    _find_conflicts([app], Layout(Path("/")), DaemonSettings())
    problems = app.document.problems()
    if problems or app.settings is None:
        raise InvalidConfiguration(problems)
    return app.settings


def load_all(layout: Layout) -> Configuration:
    """The daemon's file and every app file of a root, checked against each other.

    A missing daemon's file means the defaults, a missing directory no apps. Raises
    InvalidConfiguration with all problems of all files; nothing is loaded by halves.
    """
    problems: list[Problem] = []
    daemon, daemon_text = _read_installed_daemon(layout, problems)
    apps = _read_apps(_installed(layout, problems), problems)
    _find_conflicts(apps, layout, daemon)
    for app in apps:
        problems += app.document.problems()
    if problems:
        raise InvalidConfiguration(problems)
    settings = {app.settings.name: app.settings for app in apps if app.settings is not None}
    return Configuration(
        daemon=daemon,
        apps=dict(sorted(settings.items())),
        texts={app.claimant.draft.name: app.document.text for app in apps},
        daemon_text=daemon_text,
    )


def check_files(
    files: Sequence[Path], layout: Layout, *, judge: Judge | None = None
) -> list[Problem]:
    """What is wrong with ``files``, were they installed; without any, with what is installed.

    A file stands for the installed one of its app. The other installed files count in what apps
    claim, but their own problems are not reported. Of an installed file, the files that variables
    come from are looked at too: they keep no configuration from being used, but the next release.
    ``judge`` adds what the rules of the host find wrong with those that can be understood.
    """
    problems: list[Problem] = []
    daemon, _ = _read_installed_daemon(layout, [] if files else problems)
    of_daemon: Document | None = None  # where that was asked about
    if not files:
        files = _installed(layout, problems)
    app_files = []
    for file in dict.fromkeys(files):
        if not is_daemon_file(file, layout):
            app_files.append(file)
            continue
        try:
            daemon, of_daemon = _read_daemon(file)
        except InvalidConfiguration as error:
            problems += error.problems
    asked = _read_apps(app_files, problems)
    replaced = {app.claimant.draft.name for app in asked} | {file.stem for file in app_files}
    unasked: list[Problem] = []
    found = _installed(layout, unasked)
    installed = {file.absolute() for file in found}
    others = [file for file in found if file.stem not in replaced]
    besides = _read_apps(others, unasked)
    everything = [*besides, *asked]
    _find_conflicts(everything, layout, daemon)
    if judge is not None:
        judge([(app.document, app.settings) for app in everything if app.settings is not None])
    for app in asked:
        if app.settings is not None and app.document.file.absolute() in installed:
            app.document.wrong.extend(file_findings(app.settings, layout.remedies))
        problems += app.document.problems()
    if of_daemon is not None and daemon.api.listen is not None:
        of_daemon.wrong.extend(_taken(daemon.api.listen, besides, layout))
        problems += of_daemon.problems()
    return problems


def _taken(listen: str, apps: Sequence[_AppFile], layout: Layout) -> Iterator[Finding]:
    for app in apps:
        for other in claimed_besides(app.claimant, layout, listen):
            yield Finding(
                place=("api", "listen"),
                wrong=f"its port is also {other}",
                right="Listen on a port that no app uses",
            )


def _read_installed_daemon(
    layout: Layout, problems: list[Problem]
) -> tuple[DaemonSettings, str | None]:
    """The settings and the text; the defaults where there is no file, or one with problems."""
    if os.path.lexists(layout.daemon_file):  # a link to nowhere is a problem, not a default
        try:
            settings, document = _read_daemon(layout.daemon_file)
            return settings, document.text
        except InvalidConfiguration as error:
            problems += error.problems
    return DaemonSettings(), None


def is_daemon_file(file: Path, layout: Layout) -> bool:
    """An app may be called bluegreen: its file is then in a directory ``apps``."""
    apps = layout.app_files.name
    return file.name == layout.daemon_file.name and file.absolute().parent.name != apps


def _installed(layout: Layout, problems: list[Problem]) -> list[Path]:
    directory = layout.app_files
    try:
        return sorted(
            entry
            for entry in directory.iterdir()
            if entry.suffix == ".toml" and not entry.name.startswith(".")
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(
            Problem(
                file=directory,
                line=None,
                key="",
                wrong=f"the directory cannot be read: {error.strerror}",
                right="Make it a directory that the daemon can read",
            )
        )
        return []


def _read_apps(files: Iterable[Path], problems: list[Problem]) -> list[_AppFile]:
    apps = []
    for file in files:
        try:
            apps.append(_read_app(file))
        except InvalidConfiguration as error:
            problems += error.problems
    return apps


def _read_app(file: Path) -> _AppFile:
    """Whatever can be understood; its document holds what is wrong."""
    document = read_document(file)
    settings = _validate(AppSettings, document, _with_env_file_apart(document))
    understood = draft(document.data)
    document.wrong.extend(inconsistencies(understood))
    if understood.name and file.name != f"{understood.name}.toml":
        document.wrong.append(
            Finding(
                place=("app", "name"),
                wrong=f'the app is "{understood.name}" and its file "{file.name}"',
                right="Name the file after its app: APP.toml",
            )
        )
    claimant = Claimant(file=file, draft=understood)
    return _AppFile(document=document, claimant=claimant, settings=settings)


def _read_daemon(file: Path) -> tuple[DaemonSettings, Document]:
    """The settings, and what they were read from."""
    document = read_document(file)
    settings = _validate(DaemonSettings, document, document.data)
    if settings is None:
        raise InvalidConfiguration(document.problems())
    return settings, document


def _find_conflicts(apps: Sequence[_AppFile], layout: Layout, daemon: DaemonSettings) -> None:
    documents = {app.document.file: app.document for app in apps}
    claimants = [app.claimant for app in apps]
    for claimant, finding in conflicts(claimants, layout, daemon.api.listen):
        documents[claimant.file].wrong.append(finding)


def _validate(model: type[S], document: Document, data: Mapping[str, Any]) -> S | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for finding in findings(error, model, data):
            # The settings have it beside the table in which the file has it.
            inside = finding.place[:1] == ("env_file",)
            place = ("env", *finding.place) if inside else finding.place
            document.wrong.append(Finding(place=place, wrong=finding.wrong, right=finding.right))
        return None


def _with_env_file_apart(document: Document) -> dict[str, Any]:
    """The data with ``env_file`` of the ``[env]`` table where the settings have it."""
    data = dict(document.data)
    if "env_file" in data:
        del data["env_file"]
        document.wrong.append(
            Finding(
                place=("env_file",),
                wrong="there is no key of that name",
                right="Write env_file under [env], in a service or in a build step",
            )
        )
    env = data.get("env")
    if isinstance(env, dict) and "env_file" in env:
        data["env"] = {key: value for key, value in env.items() if key != "env_file"}
        data["env_file"] = env["env_file"]
    return data
