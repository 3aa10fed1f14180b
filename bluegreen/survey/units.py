"""The systemd units that run a directory today, as services of the app file."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bluegreen.errors import UsageError
from bluegreen.health.listener import Listener
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
from bluegreen.survey.unit_file import EnvFile, Unit, read_unit
from bluegreen.survey.unit_paths import braced, moved, outside, relative
from bluegreen.survey.unit_search import FoundUnit, find_units, listening

_SECRET = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|DSN|(?:^|_)(?:KEY|PASS|PWD)"
)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")  # see UserName in bluegreen.config.values
_DOLLAR = "\0"  # one that stands for itself, while words are looked at
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
    directory: AppDirectory,
    root: Path,
    app: str,
    parts: Sequence[Part],
    shared: Sequence[str],
    named: Sequence[str],
) -> UnitSurvey:
    """The units under ``root`` whose working directory or command lies in ``directory``, and
    those that are ``named``. Raises UsageError for a named one that is not there."""
    survey = UnitSurvey()
    wanted = {name if name.endswith(".service") else f"{name}.service" for name in named}
    units = find_units(root, directory.unread)
    if unknown := wanted - {found.files.name for found in units}:
        raise UsageError(
            f"there is no unit {', '.join(sorted(unknown))}",
            remedy="see what there is: systemctl list-units --type=service",
        )
    for found in units:
        if found.files.name.startswith(_OWN_PREFIX) and found.files.name not in wanted:
            continue
        unit = read_unit(found.files, directory.unread)
        if unit is None or not (found.files.name in wanted or _is_of(unit, directory)):
            continue
        where = _where(found.files.fragment, root)
        if why := _no_service(found, unit):
            survey.remarks.append(f"{where} was left out: it {why}")
            continue
        taken = [service.name for service in survey.services]
        name = another(_name(unit, app), taken)
        survey.services.append(_service(found, unit, directory, name, where, parts, shared))
        survey.units.append(found.files.name)
        survey.found.append(Found(where=where, what="a unit that runs this directory"))
        _note_user(survey, unit, where)
    return survey


def _where(fragment: Path, root: Path) -> str:
    return f"/{fragment.relative_to(root)}" if fragment.is_relative_to(root) else str(fragment)


def _no_service(found: FoundUnit, unit: Unit) -> str | None:
    """Why it is none of the app's services; None when it is one."""
    if unit.kind == "oneshot":
        return "runs once"
    if timers := [name for name in found.triggered_by if name.endswith(".timer")]:
        return f"is a job of {timers[0]}"
    if unit.has_specifiers or not unit.words:
        return "has specifiers that are not known here, or no command"
    return None


def _note_user(survey: UnitSurvey, unit: Unit, where: str) -> None:
    if unit.user is None or unit.user == "root":
        survey.remarks.append(
            f"{where} runs as root, which an app of bluegreen may not: give it a user of its own "
            "(useradd --system --user-group NAME), and what it writes to that user"
        )
    elif not _USER.fullmatch(unit.user):
        survey.remarks.append(f"{where}: the user {unit.user} cannot be named in an app file")
    elif unit.user not in survey.users:
        survey.users.append(unit.user)


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
    found: FoundUnit,
    unit: Unit,
    directory: AppDirectory,
    name: str,
    where: str,
    parts: Sequence[Part],
    shared: Sequence[str],
) -> FoundService:
    working = directory.inside(unit.working) if unit.working else ""
    remarks = _remarks(found, unit)
    if working is None:
        working = ""
        remarks.append(f"the unit runs in {unit.working}; this one runs in the tree of its slot")
    words = [relative(word, directory, working) for word in unit.words]
    script = next((w for w in words if re.search(r"\.(?:py|[cm]?js)$", w)), None)
    in_tree = os.path.normpath(joined(working, script)) if script else None
    port = choose_port(_ports(unit, directory, where), name)
    said = _expanded(words, unit, port)
    line = from_words(said)
    program = through_venv(line.words, parts, working, script)
    if program[0].startswith("/") and re.search(r"/\.?v?env/bin/", program[0]):
        remarks.append("both slots would use this virtual environment, which lies elsewhere")
    env = {
        n: moved(braced(v), directory, shared) for n, v in unit.env.items() if not _is_secret(n, v)
    }
    if port is not None and port.variable is not None:
        env[port.variable] = "{port}"  # PORT too: the env file's would win over the one given
    number = line.port or (port.number if port else None)
    heard = listening(found)
    replaced = _replaced(heard, number, said if line.socket else ())
    if heard and number not in [listener.port for listener in heard]:
        number = heard[0].port
    if len(heard) > 1:
        places = ", ".join(map(str, heard))
        remarks.append(f"it listens on {places}: a service of bluegreen has one address")
    return FoundService(
        name=name,
        command=command_text(in_directory(_with_shell(program), working)),
        where=where,
        serves=number is not None or line.listens,
        socket=line.socket,
        port=number,
        env=env,
        secrets=tuple(n for n, v in unit.env.items() if _is_secret(n, v)),
        env_file=_env_file(unit, directory, remarks),
        stop_timeout=unit.stop_timeout,
        replaces=None if found.active is False else replaced,
        runs=found.active is True,
        limits=unit.limits,
        outside=(*unit.writes, *outside(_texts(unit), directory)),
        part=working.split("/")[0] or _part_of(in_tree, parts),
        script=in_tree,
        remarks=tuple(remarks),
    )


def _remarks(found: FoundUnit, unit: Unit) -> list[str]:
    remarks = []
    if found.active is False:
        remarks.append("the unit does not run now")
    if unit.kind in ("forking", "dbus"):
        remarks.append(f"TO FILL IN: it is of Type={unit.kind}; it has to stay in the foreground")
    if unit.privileged:
        remarks.append(
            "systemd gives its command more rights than its user has; bluegreen does not"
        )
    if sockets := [name for name in found.triggered_by if name.endswith(".socket")]:
        remarks.append(f"{sockets[0]} listens for it; under bluegreen it has to listen itself")
    if unit.left_out:
        remarks.append(f"not carried over from the unit: {', '.join(unit.left_out)}")
    return remarks


def _ports(unit: Unit, directory: AppDirectory, where: str) -> list[PortInSource]:
    ports = []
    for file in unit.env_files:
        text = read_text(Path(file.path), file.path, directory.unread)
        ports += ports_in_env(file.path, text or "")
    return ports + [
        PortInSource(where=where, number=int(value), variable=variable)
        for variable, value in unit.env.items()
        if re.fullmatch(r"(?:[A-Z0-9]+_)*PORT", variable) and is_own(variable)
        if value.isdecimal() and usable(int(value))
    ]


def _replaced(heard: Sequence[Listener], number: int | None, words: Sequence[str]) -> str | None:
    """Where it answers: by what the kernel says, else by what its command says."""
    chosen = next((one for one in heard if one.port == number), heard[0] if heard else None)
    if chosen is not None:
        return f"127.0.0.1:{chosen.port}" if chosen.answers_loopback else str(chosen)
    sockets = (re.search(r"unix:(/[A-Za-z0-9._/@+-]+)$", word) for word in words)
    if socket := next((match for match in sockets if match), None):
        return socket[1]
    return f"127.0.0.1:{number}" if number is not None else None


def _expanded(words: Sequence[str], unit: Unit, port: PortInSource | None) -> list[str]:
    """``${NAME}`` by what the unit says of it, but for secrets and what only its files say.

    The number of its ``port`` counts as said, wherever it is: that becomes a placeholder.
    """
    known = {n: v for n, v in unit.env.items() if not _is_secret(n, v)}
    if port is not None and port.variable is not None and port.number is not None:
        known[port.variable] = str(port.number)

    def value(match: re.Match[str]) -> str:
        return _DOLLAR if match[0] == "$$" else known.get(match[1] or match[2], match[0])

    return [re.sub(r"\$\$|\$\{(\w+)\}|\$(\w+)", value, word) for word in words]


def _with_shell(words: Sequence[str]) -> tuple[str, ...]:
    """Variables that only the environment knows need a shell; systemd itself expanded them."""
    if words[0].rpartition("/")[2] in ("sh", "bash") or not any("$" in word for word in words):
        program = words[0]
        # A file of the tree, not one that the PATH is searched for.
        named = "/" not in program and program.endswith((".sh", ".py", ".js"))
        found = (f"./{program}" if named else program, *words[1:])
        return tuple(word.replace(_DOLLAR, "$") for word in found)
    quoted = (re.sub(r"([\"`\\])", r"\\\1", word).replace(_DOLLAR, "\\$") for word in words)
    return ("sh", "-c", "exec " + " ".join(f'"{word}"' for word in quoted))


def _env_file(unit: Unit, directory: AppDirectory, remarks: list[str]) -> str | None:
    paths = []
    for file in unit.env_files:
        if not file.path.startswith("/") or _is_missing(file):
            remarks.append(f"the unit's env file {file.path} is not there, or is a pattern")
        else:
            paths.append(file.path)
    if len(paths) > 1:
        remarks += [
            "TO FILL IN: the unit has several env files, and a service here has one. Join them, "
            "the later wins:",
            f"cat {' '.join(shlex.quote(path) for path in paths)} > FILE (mode 0600)",
        ]
    return (directory.inside(paths[0]) or paths[0]) if paths else None


def _texts(unit: Unit) -> list[str]:
    """What of the unit may name paths, but for its program and its secrets."""
    return [*unit.words[1:], *(v for n, v in unit.env.items() if not _is_secret(n, v))]


def _is_missing(file: EnvFile) -> bool:
    """Whether systemd goes on without it, and it is not there, or it is no single file."""
    if set(file.path) & set("*?["):
        return True
    try:
        os.stat(file.path)
    except FileNotFoundError:
        return file.optional
    except OSError:  # who may not look takes the unit's word
        return False
    return False


def _part_of(script: str | None, parts: Sequence[Part]) -> str:
    top = script.split("/")[0] if script and "/" in script else ""
    return top if any(part.path == top for part in parts) else ""


def _is_secret(name: str, value: str) -> bool:
    return _SECRET.search(name.upper()) is not None or re.search(r"://[^/\s]*@", value) is not None
