"""``bluegreen init``: an app file for the current directory, from what is found there."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.config.load import check_files, load_app
from bluegreen.config.values import TO_FILL_IN
from bluegreen.errors import UsageError
from bluegreen.files import sync_directory, write_atomically
from bluegreen.layout import Layout
from bluegreen.survey.app_file import Host, compose
from bluegreen.survey.directory import shown
from bluegreen.survey.look import look
from bluegreen.survey.naming import LONGEST, name_from
from bluegreen.survey.ports import HostPorts, claimed_by_others
from bluegreen.survey.steps import next_steps

if TYPE_CHECKING:
    from bluegreen.survey.nouns import Survey

PRINT = "-"


def init(options: argparse.Namespace) -> int:
    """Write the file, or print it; never over a file that is there."""
    directory, layout = _current_directory(), Layout(options.root)
    name = _name(options.app, directory)
    file = _target(options.output, layout, name)
    if file is not None:
        _refuse_existing(file, name)
    survey = look(directory, root=options.root, app=name, units=options.units)
    unread: list[str] = []
    host = Host(
        app_files=layout.app_files,
        shared=layout.app(name).shared,
        is_whole=layout.is_whole,
        ports=HostPorts(claimed_by_others(layout.app_files, name, unread)),
    )
    text = compose(name, directory, survey, host)
    unsettled = [f"not read: {why}" for why in unread] + _to_fill_in(text)
    unsettled += _check(text, name, layout)
    made = file is not None and not file.parent.exists()
    if file is not None:
        _write(file, text, name)
    found = [{"where": found.where, "what": found.what} for found in survey.found]
    if options.json:
        document = {"file": str(file) if file else None, "found": found, "text": text}
        print(json.dumps(document | {"to_settle": [*survey.remarks, *unsettled]}))
    elif file is None:
        print(text, end="")
    else:
        said = [shown(f"made the directory {file.parent}")] if made else []
        print("\n".join(said + _report(file, name, survey, unsettled, layout)))
    return 0


def _to_fill_in(text: str) -> list[str]:
    """The lines of the file that stand for what was not found."""
    return [
        f"line {number}: {line.lstrip('# ').rstrip(';')}"
        for number, line in enumerate(text.splitlines(), start=1)
        if "TO FILL IN" in line
    ]


def _current_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError(
            "the current directory is gone", remedy="cd into the app's directory"
        ) from error


def _name(asked: str | None, directory: Path) -> str:
    if asked is None:
        return name_from(directory.name)
    if not asked:
        raise UsageError(
            "the name of the app is empty", remedy=f"bluegreen init {name_from(directory.name)}"
        )
    if name_from(asked) != asked:
        raise UsageError(
            f"{asked!r} cannot be the name of an app",
            remedy=f"lower-case letters, digits and dashes, at most {LONGEST} of them, as in: "
            f"bluegreen init {name_from(asked)}",
        )
    return asked


def _target(output: str | None, layout: Layout, name: str) -> Path | None:
    if output == PRINT:
        return None
    return layout.app_files / f"{name}.toml" if output is None else Path(output).absolute()


def _refuse_existing(file: Path, name: str) -> None:
    if os.path.lexists(file):
        raise UsageError(
            f"{file} is there already; nothing was written",
            remedy=f"compare with: bluegreen init {name} --output -  (or move the file away)",
        )


def _check(text: str, name: str, layout: Layout) -> list[str]:
    """What another app of this root has against the file. Raises InvalidConfiguration, which
    would be our own mistake, before anything is kept."""
    with tempfile.TemporaryDirectory(prefix="bluegreen-init-") as directory:
        draft = Path(directory) / f"{name}.toml"
        # What is left to fill in is no mistake of ours: the rest has to be right.
        draft.write_text(text.replace(f'command = "{TO_FILL_IN}"', 'command = "true"'))
        load_app(draft)
        problems = check_files([draft], layout)
    return [f"{problem.key}: {problem.wrong}. {problem.right}." for problem in problems]


def _write(file: Path, text: str, name: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # A link from a finished draft: it appears whole, and never over a file that came meanwhile.
        with tempfile.TemporaryDirectory(prefix=".bluegreen-init-", dir=file.parent) as directory:
            draft = Path(directory) / "draft"
            write_atomically(draft, text)
            os.link(draft, file)
        sync_directory(file.parent)
    except OSError as error:
        if isinstance(error, FileExistsError):
            _refuse_existing(file, name)
        raise UsageError(
            f"{file} cannot be written: {error.strerror}",
            remedy="run it as a user that may, or write it elsewhere with --output FILE, or "
            "name another root with --root DIR",
        ) from error


def _report(
    file: Path, name: str, survey: Survey, unsettled: Sequence[str], layout: Layout
) -> list[str]:
    width = max((len(found.where) for found in survey.found), default=0)
    lines = [f"found {found.where:<{width}}  {found.what}" for found in survey.found]
    if not survey.services:
        lines.append(
            "nothing was found that starts this app: bluegreen check refuses the placeholder that "
            "stands in for it"
        )
    lines += [f"to settle: {remark}" for remark in (*survey.remarks, *unsettled)]
    lines += ["", f"wrote {file}", "Next:"]
    steps = next_steps(name, file, survey, layout)
    lines += [f"  {step}" for step in steps]
    return [shown(line) for line in lines]
