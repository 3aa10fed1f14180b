"""systemd's unit files as far as a service's command and environment need them (systemd.service(5),
systemd.exec(5)): continued lines, drop-ins, and an empty value that forgets the ones before."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.survey.directory import read_text

_MULTIPLE = frozenset({"ExecStart", "Environment", "EnvironmentFile"})
_VARIABLE = re.compile(r"(?!env_file$)[A-Za-z_][A-Za-z0-9_]*")
_PREFIXES = "@-:+!|"


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One service unit. Values are as written; only ``%%`` is undone."""

    name: str  # without .service
    kind: str
    words: tuple[str, ...]  # of ExecStart
    working: str | None
    user: str | None
    env: dict[str, str]
    env_files: tuple[str, ...]
    stop_timeout: str | None
    has_specifiers: bool


def unit_files(directory: Path) -> list[Path]:
    """The service units of an administrator's directory; templates and links out are left."""
    if not os.path.isdir(directory):
        return []
    return sorted(
        file
        for file in directory.glob("*.service")
        if os.path.isfile(file) and not file.name.endswith("@.service")
    )


def read_unit(file: Path, unread: list[str]) -> Unit | None:
    """The unit with its drop-ins. None, and a line in ``unread``, where it cannot be understood."""
    drop_ins = sorted(file.with_name(f"{file.name}.d").glob("*.conf"))
    texts = [read_text(part, str(part), unread) or "" for part in (file, *drop_ins)]
    values = _service_section("\n".join(texts))
    try:
        commands = [shlex.split(value) for value in values.get("ExecStart", [])]
        env = _assignments(values.get("Environment", []))
    except ValueError:
        unread.append(f"{file}: its quotes cannot be understood")
        return None
    words = _command(commands[-1]) if commands else ()
    said = " ".join(values.get("ExecStart", []) + values.get("Environment", []))
    return Unit(
        name=file.name.removesuffix(".service"),
        kind=_last(values, "Type") or "simple",
        words=tuple(word.replace("%%", "%") for word in words),
        working=(_last(values, "WorkingDirectory") or "").lstrip("-") or None,
        user=_last(values, "User"),
        env={name: value.replace("%%", "%") for name, value in env.items()},
        env_files=tuple(value.lstrip("-") for value in values.get("EnvironmentFile", [])),
        stop_timeout=_duration(_last(values, "TimeoutStopSec")),
        has_specifiers=re.search(r"%[A-Za-z]", said.replace("%%", "")) is not None,
    )


def _service_section(text: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    section = ""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == "Service" and "=" in line and line[0] not in "#;":
            key, value = (half.strip() for half in line.split("=", 1))
            if not value or key not in _MULTIPLE:
                values[key] = []
            if value:
                values.setdefault(key, []).append(value)
    return values


def _last(values: dict[str, list[str]], key: str) -> str | None:
    found = values.get(key)
    return found[-1] if found else None


def _assignments(lines: Sequence[str]) -> dict[str, str]:
    pairs = (word.partition("=") for line in lines for word in shlex.split(line))
    return {name: value for name, _, value in pairs if _VARIABLE.fullmatch(name)}


def _command(words: list[str]) -> tuple[str, ...]:
    if not words:
        return ()
    program = words[0].lstrip(_PREFIXES)
    prefix = words[0][: len(words[0]) - len(program)]
    # After an @ the second word is only the name that the process shall have.
    return (program, *words[2 if "@" in prefix else 1 :])


def _duration(value: str | None) -> str | None:
    """``90`` or ``5min`` as the app file writes it; None for what it has no word for."""
    match = re.fullmatch(r"([0-9]{1,6})\s*(s|sec|m|min|)", value or "")
    if match is None:
        return None
    return f"{match[1]}{'m' if match[2].startswith('m') else 's'}"
