"""Virtual environments in found commands: those of the host become those of the release."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from bluegreen.survey.command_line import is_python
from bluegreen.survey.directory import joined
from bluegreen.survey.nouns import Part
from bluegreen.survey.python_project import venv_of

_IN_VENV = re.compile(r"(?:^|/)(?:\.?venv|env|virtualenv)/bin/([^/]+)$")


def through_venv(
    words: Sequence[str], parts: Sequence[Part], working: str, script: str | None
) -> tuple[str, ...]:
    """The command with its program from the environment that the build step makes.

    ``working`` is where the command runs, relative to the directory. Programs that no virtual
    environment would have are left alone, and all are where no part is a Python project.
    """
    python = [part.path for part in parts if part.kind == "python"]
    if not words or not python:
        return tuple(words)
    in_venv = _IN_VENV.search(words[0])
    if in_venv is None and not (is_python(words[0]) and _of_the_host(words[0])):
        return tuple(words)
    program = in_venv[1] if in_venv else words[0].rpartition("/")[2]
    if re.fullmatch(r"python[0-9.]*", program):
        program = "python"
    near = joined(working, os.path.dirname(script or words[0])).strip("/")
    path = next((path for path in python if path and f"{near}/".startswith(f"{path}/")), python[0])
    venv = os.path.relpath(venv_of(path), working or ".")
    return (f"{venv}/bin/{program}", *words[1:])


def _of_the_host(program: str) -> bool:
    return "/" not in program or program.startswith(("/usr/bin/", "/bin/", "/usr/local/bin/"))
