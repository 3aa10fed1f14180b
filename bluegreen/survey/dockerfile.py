"""A Dockerfile, as a hint only: what it says is true of a container, not of this host."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bluegreen.survey.command_line import usable
from bluegreen.survey.directory import AppDirectory

_EXPOSE = re.compile(r"^\s*EXPOSE\s+([0-9]{4,5})\b", re.MULTILINE | re.IGNORECASE)
_START = re.compile(r"^\s*((?:CMD|ENTRYPOINT)\s+\S.*)$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Dockerfile:
    """Its port and its last command, as written."""

    port: int | None
    start: str | None


def read_dockerfile(directory: AppDirectory) -> Dockerfile | None:
    """None where there is no Dockerfile."""
    text = directory.read("Dockerfile")
    if text is None:
        return None
    ports = [int(match[1]) for match in _EXPOSE.finditer(text) if usable(int(match[1]))]
    starts = [match[1].strip() for match in _START.finditer(text)]
    return Dockerfile(port=ports[0] if ports else None, start=starts[-1] if starts else None)
