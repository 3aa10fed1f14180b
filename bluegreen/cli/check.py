"""``bluegreen check``: what is wrong with configuration, before anything is started."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bluegreen.config.load import Problem, check_files
from bluegreen.layout import Layout


def installed(layout: Layout) -> list[Path]:
    """The files of a root that a daemon would read."""
    daemon = [layout.daemon_file] if layout.daemon_file.exists() else []
    return daemon + sorted(layout.app_files.glob("[!.]*.toml"))


def check(options: argparse.Namespace) -> int:
    layout = Layout(options.root)
    files = options.files or installed(layout)
    problems = check_files(options.files, layout)
    try:
        _show(layout, files, problems, as_json=options.json)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has had enough; what was found is so all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 2 if problems else 0


def _show(
    layout: Layout, files: Sequence[Path], problems: Sequence[Problem], *, as_json: bool
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
                }
            )
        )  # fmt: skip
    elif not files and not problems:
        print(f"there is no app file in {layout.app_files}; write one with: bluegreen init")
    else:
        for problem in problems:
            print(problem)
        said = f"{len(problems)} to mend" if problems else "all is well"
        print(f"{len(files)} file{'s' if len(files) != 1 else ''} checked: {said}")
