"""A Procfile: a process kind a line, ``web: gunicorn shop.wsgi --bind 0.0.0.0:$PORT``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bluegreen.survey.command_line import Line, command_text, from_shell
from bluegreen.survey.directory import AppDirectory
from bluegreen.survey.environment import through_venv
from bluegreen.survey.naming import another, name_from
from bluegreen.survey.nouns import FoundService, Part

_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")
RELEASE = "release"  # what Heroku runs once before a release starts


def procfile_services(
    directory: AppDirectory, parts: Sequence[Part], remarks: list[str]
) -> list[FoundService]:
    """The services of the Procfile; ``remarks`` gets what was left out."""
    services: dict[str, FoundService] = {}
    for kind, text in _lines(directory.read("Procfile") or ""):
        if kind == RELEASE:
            remarks.append(
                "Procfile: the release process is no service; make it a build step where it does "
                "not touch shared data"
            )
            continue
        try:
            line = from_shell(text)
        except ValueError:
            remarks.append(f"Procfile: the command of {kind} cannot be split into words")
            continue
        name = another(name_from(kind, "process"), services)
        services[name] = _service(name, kind, line, parts)
    return list(services.values())


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if match := _LINE.fullmatch(line.strip()):
            yield match[1], match[2]


def _service(name: str, kind: str, line: Line, parts: Sequence[Part]) -> FoundService:
    script = next((w for w in line.words if w.endswith((".py", ".js", ".mjs", ".cjs"))), None)
    words = line.words
    if line.for_shell:
        if any(part.kind == "python" and not part.path for part in parts):
            words = (*words[:2], f'PATH="$PWD/.venv/bin:$PATH"; {words[2]}')
    else:
        words = through_venv(words, parts, "", script)
    return FoundService(
        name=name,
        command=command_text(words),
        where="Procfile",
        serves=kind == "web" or line.listens or "$PORT" in " ".join(line.words),
        socket=line.socket,
        port=line.port,
        env=line.env,
        script=script,
    )
