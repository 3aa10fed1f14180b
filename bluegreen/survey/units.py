"""The systemd units that run a directory today, as services of the app file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bluegreen.survey.command_line import (
    command_text,
    from_words,
    in_directory,
    usable,
)
from bluegreen.survey.directory import AppDirectory, joined, read_text
from bluegreen.survey.environment import through_venv
from bluegreen.survey.naming import LONGEST, another, name_from
from bluegreen.survey.nouns import Found, FoundService, Part
from bluegreen.survey.source_code import PortInSource, choose_port, is_own, ports_in_env
from bluegreen.survey.unit_file import Unit, read_unit, unit_files

UNITS = "etc/systemd/system"
_SECRET = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|DSN|(?:^|_)(?:KEY|PASS|PWD)"
)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")  # see UserName in bluegreen.config.values
_OWN_PREFIX = "bluegreen-"  # units that this program writes


@dataclass
class UnitSurvey:
    """What the units say."""

    services: list[FoundService] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def survey_units(
    directory: AppDirectory, root: Path, app: str, parts: Sequence[Part]
) -> UnitSurvey:
    """The units under ``root`` whose working directory or command lies in ``directory``."""
    survey = UnitSurvey()
    for file in unit_files(root / UNITS):
        if file.name.startswith(_OWN_PREFIX):
            continue
        unit = read_unit(file, directory.unread)
        if unit is None or not _is_of(unit, directory):
            continue
        where = f"{UNITS}/{file.name}"
        if unit.kind == "oneshot" or unit.has_specifiers or not unit.words:
            why = "runs once" if unit.kind == "oneshot" else "has specifiers, or no command"
            survey.remarks.append(f"/{where} was left out: it {why}")
            continue
        taken = [service.name for service in survey.services]
        survey.services.append(
            _service(unit, directory, another(_name(unit, app), taken), where, parts)
        )
        survey.units.append(file.name)
        survey.found.append(Found(where=f"/{where}", what="a unit that runs this directory"))
        if unit.user is not None and not _USER.fullmatch(unit.user):
            survey.remarks.append(f"/{where}: the user {unit.user} cannot be named in an app file")
        elif unit.user is not None and unit.user not in survey.users:
            survey.users.append(unit.user)
    return survey


def _is_of(unit: Unit, directory: AppDirectory) -> bool:
    paths = [unit.working] if unit.working else []
    paths += [word for word in unit.words if word.startswith("/")]
    return any(directory.inside(path) is not None for path in paths)


def _name(unit: Unit, app: str) -> str:
    """``shop-api.service`` of the app shop is its service ``api``; ``shop.service`` is ``web``."""
    name = name_from(unit.name, "service")
    if name == app:
        return "web"
    return name.removeprefix(f"{app}-")[:LONGEST] if name.startswith(f"{app}-") else name


def _service(
    unit: Unit, directory: AppDirectory, name: str, where: str, parts: Sequence[Part]
) -> FoundService:
    working = directory.inside(unit.working) if unit.working else ""
    remarks: list[str] = []
    if working is None:
        working = ""
        remarks.append(f"the unit runs in {unit.working}; this one runs in the tree of its slot")
    words = [_relative(word, directory, working) for word in unit.words]
    script = next((w for w in words if re.search(r"\.(?:py|[cm]?js)$", w)), None)
    in_tree = os.path.normpath(joined(working, script)) if script else None
    ports = _env_file_ports(unit, directory)
    ports += [
        PortInSource(where=where, number=int(value), variable=variable)
        for variable, value in unit.env.items()
        if re.fullmatch(r"(?:[A-Z0-9]+_)*PORT", variable) and is_own(variable)
        if value.isdecimal() and usable(int(value))
    ]
    port = choose_port(ports, name)
    line = from_words(_expanded(words, unit))
    program = through_venv(line.words, parts, working, script)
    if program[0].startswith("/") and re.search(r"/\.?v?env/bin/", program[0]):
        remarks.append("both slots would use this virtual environment, which lies elsewhere")
    env = {n: _text(v) for n, v in unit.env.items() if not _is_secret(n, v)}
    if port is not None and port.variable is not None:
        env[port.variable] = "{port}"  # PORT too: the env file's would win over the one given
    number = line.port or (port.number if port else None)
    return FoundService(
        name=name,
        command=command_text(in_directory(_with_shell(program), working)),
        where=f"/{where}",
        serves=number is not None or line.listens,
        socket=line.socket,
        port=number,
        env=env,
        secrets=tuple(n for n, v in unit.env.items() if _is_secret(n, v)),
        env_file=_env_file(unit, directory, remarks),
        stop_timeout=unit.stop_timeout,
        part=working.split("/")[0] or _part_of(in_tree, parts),
        script=in_tree,
        remarks=tuple(remarks),
    )


def _relative(word: str, directory: AppDirectory, working: str) -> str:
    """Paths into the directory as seen from ``working``, wherever in the word they begin."""
    up = os.path.relpath(".", working or ".")
    for top in directory.names:
        inner = f"{top}/{working}" if working else top
        word = re.sub(rf"(?<![\w./-]){re.escape(inner)}(?:/(?=.)|/?(?![\w.-]))", "\0", word)
        word = re.sub(rf"(?<![\w./-]){re.escape(top)}(?:/(?=.)|/?(?![\w.-]))", f"{up}/", word)
    # What is left of a path to the working directory itself is nothing: then it is a dot.
    return re.sub(r"\0(?=$|[\s:,;\"'])", ".", word).replace("\0", "")


def _expanded(words: Sequence[str], unit: Unit) -> list[str]:
    """``${NAME}`` by what the unit says of it, but for secrets and what only its files say."""
    known = {n: v for n, v in unit.env.items() if not _is_secret(n, v)}

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else known.get(match[1] or match[2], match[0])

    return [re.sub(r"\$\$|\$\{(\w+)\}|\$(\w+)", value, word) for word in words]


def _with_shell(words: Sequence[str]) -> tuple[str, ...]:
    """Variables that only the environment knows need a shell; systemd itself expanded them."""
    if words[0].rpartition("/")[2] in ("sh", "bash") or not any("$" in word for word in words):
        program = words[0]
        # A file of the tree, not one that the PATH is searched for.
        named = "/" not in program and program.endswith((".sh", ".py", ".js"))
        return (f"./{program}" if named else program, *words[1:])
    quoted = (re.sub(r"([\"`\\])", r"\\\1", word) for word in words)
    return ("sh", "-c", "exec " + " ".join(f'"{word}"' for word in quoted))


def _env_file_ports(unit: Unit, directory: AppDirectory) -> list[PortInSource]:
    ports = []
    for name in unit.env_files:
        text = read_text(Path(name), name, directory.unread)
        ports += ports_in_env(name, text or "")
    return ports


def _env_file(unit: Unit, directory: AppDirectory, remarks: list[str]) -> str | None:
    if len(unit.env_files) > 1:
        remarks.append(f"the unit has more env files: {', '.join(unit.env_files[1:])}")
    if not unit.env_files or not unit.env_files[0].startswith("/"):
        return None
    return directory.inside(unit.env_files[0]) or unit.env_files[0]


def _part_of(script: str | None, parts: Sequence[Part]) -> str:
    top = script.split("/")[0] if script and "/" in script else ""
    return top if any(part.path == top for part in parts) else ""


def _is_secret(name: str, value: str) -> bool:
    return _SECRET.search(name.upper()) is not None or re.search(r"://[^/\s]*@", value) is not None


def _text(value: str) -> str:
    return value.replace("{", "{{").replace("}", "}}")
