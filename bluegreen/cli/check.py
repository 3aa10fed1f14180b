"""``bluegreen check``: what is wrong with configuration, before anything is started."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.cli.apply import ask_daemon
from bluegreen.cli.strangers import strangers
from bluegreen.config.environment import DEFAULT_PATH
from bluegreen.config.load import Problem, check_files, is_daemon_file, load_app
from bluegreen.config.settings import AppSettings
from bluegreen.errors import BluegreenError
from bluegreen.host.accounts import find
from bluegreen.host.foresight import foresee
from bluegreen.host.places import DAEMON_USER, HostLayout
from bluegreen.host.refusals import judge_with_files, unseen
from bluegreen.layout import Layout
from bluegreen.requirements.backup_programs import missing_programs
from bluegreen.words import counted

IN_THE_WAY = "what is in the way of apply on this host"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """All that there is to say of ``files``.

    ``refusal`` is what ``apply`` would say of well-written files; ``unseen`` is what whoever
    checks may not look at.
    """

    files: Sequence[Path]
    problems: Sequence[Problem]
    warnings: Sequence[str] = ()
    unseen: Sequence[str] = ()
    refusal: BluegreenError | None = None

    @property
    def verdict(self) -> str:
        if self.problems:
            return f"{len(self.problems)} to mend"
        if self.refusal is not None:
            return "apply would be refused"
        return "well written" if self.warnings or self.unseen else "all is well"


def installed(layout: Layout) -> list[Path]:
    """The files of a root that a daemon would read."""
    daemon = [layout.daemon_file] if layout.daemon_file.exists() else []
    return daemon + sorted(layout.app_files.glob("[!.]*.toml"))


def check(options: argparse.Namespace) -> int:
    layout = Layout(options.root)
    if layout.is_whole:
        found = _on_host(options.files, HostLayout(options.root))
    else:
        files = options.files or installed(layout)
        problems = check_files(options.files, layout)
        warnings = [] if problems else _warnings(files, layout)
        found = Checked(files=files, problems=problems, warnings=warnings)
    try:
        _show(layout, found, as_json=options.json)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has had enough; what was found is so all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 2 if found.problems or found.refusal else 0


def _on_host(named: Sequence[Path], layout: HostLayout) -> Checked:
    """What ``apply`` would refuse, as far as whoever checks may look."""
    files = named or installed(layout)
    # A file may be meant for another host where this one has no daemon of its own.
    rules = None if named and find(DAEMON_USER) is None else judge_with_files
    problems = check_files(named, layout, judge=rules)
    if problems or rules is None or not files:
        return Checked(files=files, problems=problems)
    apps = {file: load_app(file) for file in files if not is_daemon_file(file, layout)}
    hidden = list(dict.fromkeys(file for settings in apps.values() for file in unseen(settings)))
    warnings = [*_missing(apps)]
    if named:
        return Checked(files=files, problems=(), unseen=hidden, warnings=warnings)
    refusal = asyncio.run(foresee(layout))
    try:
        ask_daemon(layout.root)
    except BluegreenError as error:
        refusal = refusal or error
    hidden += [] if os.geteuid() == 0 else [IN_THE_WAY]
    return Checked(files=files, problems=(), unseen=hidden, refusal=refusal, warnings=warnings)


def _warnings(files: Sequence[Path], layout: Layout) -> list[str]:
    """What may be over before the files are used: a port that somebody holds, a missing program."""
    apps = {file: load_app(file) for file in files if not is_daemon_file(file, layout)}
    return [
        *(
            f"{file}: {line}; it has to end before this is used"
            for file, settings in apps.items()
            for line in strangers(settings, layout)
        ),
        *_missing(apps),
    ]


def _missing(apps: Mapping[Path, AppSettings]) -> Iterator[str]:
    """By whoever checks; a deploy is refused by what the app's user finds."""
    for file, settings in apps.items():
        if settings.backup is None or not settings.backup.postgres:
            continue
        text = settings.env.get("PATH", os.environ.get("PATH", DEFAULT_PATH))
        if isinstance(text, str) and (names := missing_programs(text)):
            yield f"{file}: postgres of [backup] needs {', '.join(names)}, not on the PATH {text}"


def _show(layout: Layout, found: Checked, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_document(found)))
        return
    if not found.files and not found.problems:
        print(f"there is no app file in {layout.app_files}; write one with: bluegreen init")
        return
    for problem in found.problems:
        print(problem)
    for warning in found.warnings:
        print(f"warning: {warning}")
    if found.refusal is not None:
        print("\n".join(found.refusal.lines()))
    if found.unseen:
        print(f"not looked at, as only root may: {', '.join(found.unseen)}; sudo bluegreen check")
    print(f"{counted(len(found.files), 'file')} checked: {found.verdict}")


def _document(found: Checked) -> dict[str, object]:
    return {
        "files": [str(file) for file in found.files],
        "problems": [
            {
                "file": str(problem.file), "line": problem.line, "key": problem.key,
                "wrong": problem.wrong, "right": problem.right,
            }
            for problem in found.problems
        ],
        "warnings": list(found.warnings),
        "refusal": None if found.refusal is None else found.refusal.document(),
        "unseen": list(found.unseen),
    }  # fmt: skip
