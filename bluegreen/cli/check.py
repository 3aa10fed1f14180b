"""``bluegreen check``: what is wrong with configuration, before anything is started."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bluegreen.cli.strangers import strangers
from bluegreen.config.document import read_document
from bluegreen.config.load import (
    InvalidConfiguration,
    Problem,
    check_files,
    is_daemon_file,
    load_app,
)
from bluegreen.host.refusals import unsupported
from bluegreen.layout import Layout


def installed(layout: Layout) -> list[Path]:
    """The files of a root that a daemon would read."""
    daemon = [layout.daemon_file] if layout.daemon_file.exists() else []
    return daemon + sorted(layout.app_files.glob("[!.]*.toml"))


def check(options: argparse.Namespace) -> int:
    layout = Layout(options.root)
    files = options.files or installed(layout)
    problems = check_files(options.files, layout)
    if layout.root == Path("/"):
        problems += _of_a_host(files, layout)
    warnings = [] if problems else _warnings(files, layout)
    try:
        _show(layout, files, problems, warnings, as_json=options.json)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has had enough; what was found is so all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 2 if problems else 0


def _warnings(files: Sequence[Path], layout: Layout) -> list[str]:
    """What may be over before the files are used: a port that somebody else holds now."""
    return [
        f"{file}: {line}"
        for file in files
        if not is_daemon_file(file, layout)
        for line in strangers(load_app(file), layout)
    ]


def _of_a_host(files: Sequence[Path], layout: Layout) -> list[Problem]:
    """What `apply` would refuse as not supported yet, of files that can be used elsewhere."""
    found: list[Problem] = []
    for file in files:
        if not is_daemon_file(file, layout):
            with contextlib.suppress(InvalidConfiguration):
                document = read_document(file)
                document.wrong.extend(unsupported(load_app(file)))
                found += document.problems()
    return found


def _show(
    layout: Layout,
    files: Sequence[Path],
    problems: Sequence[Problem],
    warnings: Sequence[str],
    *,
    as_json: bool,
) -> None:
    if as_json:
        print(
            json.dumps(
                {
                    "files": [str(file) for file in files],
                    "problems": [
                        {
                            "file": str(problem.file), "line": problem.line, "key": problem.key,
                            "wrong": problem.wrong, "right": problem.right,
                        }
                        for problem in problems
                    ],
                    "warnings": list(warnings),
                }
            )
        )  # fmt: skip
    elif not files and not problems:
        print(f"there is no app file in {layout.app_files}; write one with: bluegreen init")
    else:
        for problem in problems:
            print(problem)
        for warning in warnings:
            print(f"warning: {warning}; it has to end before this is used")
        said = f"{len(problems)} to mend" if problems else "all is well"
        if warnings:
            said = "well written"
        print(f"{len(files)} file{'s' if len(files) != 1 else ''} checked: {said}")
