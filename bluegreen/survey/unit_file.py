"""systemd's unit files as far as a service's command and environment need them (systemd.service(5),
systemd.exec(5)): continued lines, drop-ins, and an empty value that forgets the ones before."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bluegreen.survey.directory import read_text
from bluegreen.survey.unit_words import expanded, seconds, specifiers, split_words

_MULTIPLE = frozenset({"ExecStart", "Environment", "EnvironmentFile"})
_VARIABLE = re.compile(r"(?!env_file$)[A-Za-z_][A-Za-z0-9_]*")
_PREFIXES = "@-:+!|"
# What an app file says in words of its own.
_CARRIED = _MULTIPLE | {
    "Type", "User", "WorkingDirectory", "TimeoutStopSec", "MemoryMax", "CPUQuota", "TasksMax",
    "LimitNOFILE",
}  # fmt: skip
# What bluegreen does itself, or what nobody needs to be told of.
_DONE_ANYWAY = re.compile(
    r"Restart(?:Sec|Steps|MaxDelaySec)?|Standard(?:Output|Error)|Syslog\w+|KillSignal|SendSIGKILL"
    r"|Timeout(?:Start|Abort)?Sec|TimeoutStartFailureMode|RuntimeMaxSec|NotifyAccess|Group"
    r"|NoNewPrivileges|Private\w+|Protect\w+|Restrict\w+|SystemCall\w+|LockPersonality"
    r"|MemoryDenyWriteExecute|MemoryHigh|CapabilityBoundingSet|RemoveIPC|UMask|OOM\w+|Slice"
    r"|\w+Accounting|ReadOnlyPaths|InaccessiblePaths|DevicePolicy|KillMode|GuessMainPID"
)
# What names places outside the app's own that the service writes to.
WRITES = (
    "StateDirectory", "CacheDirectory", "LogsDirectory", "RuntimeDirectory",
    "ConfigurationDirectory", "ReadWritePaths", "BindPaths",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EnvFile:
    """``optional``: systemd goes on where it is not there."""

    path: str
    optional: bool


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One service unit. Its specifiers are expanded; ``$NAME`` in ``words`` is not."""

    name: str  # without .service
    kind: str
    words: tuple[str, ...]  # of ExecStart
    privileged: bool  # its prefix has the command run with more than the user's rights
    working: str | None
    user: str | None
    env: Mapping[str, str]
    env_files: tuple[EnvFile, ...]
    stop_timeout: str | None
    has_specifiers: bool  # some that are not known here
    limits: Mapping[str, str] = field(default_factory=dict)  # as the app file writes them
    writes: tuple[str, ...] = ()  # directives that name places outside
    left_out: tuple[str, ...] = ()  # directives that no app file has


@dataclass(frozen=True, kw_only=True)
class UnitFiles:
    """Where the texts of a unit are: its fragment, then its drop-ins in their order."""

    name: str  # shop@9001.service
    parts: tuple[Path, ...]

    @property
    def fragment(self) -> Path:
        return self.parts[0]


def read_unit(files: UnitFiles, unread: list[str]) -> Unit | None:
    """The unit with its drop-ins. None, and a line in ``unread``, where it cannot be understood."""
    texts = [read_text(part, str(part), unread) or "" for part in files.parts]
    values = _service_section("\n".join(texts))
    known = specifiers(files.name)
    try:
        commands = [split_words(value) for value in values.get("ExecStart", [])]
        pairs = [word for value in values.get("Environment", []) for word in split_words(value)]
    except ValueError as error:
        unread.append(f"{files.fragment}: its quotes cannot be understood ({error})")
        return None
    prefix, words = _command(commands[-1]) if commands else ("", ())
    texts = [*words, *pairs, _last(values, "WorkingDirectory") or "", _last(values, "User") or ""]
    plain = [expanded(text, known) for text in texts]
    done = [text for text, _ in plain]
    *_, working, user = done
    files_of_env = [expanded(value, known) for value in values.get("EnvironmentFile", [])]
    return Unit(
        name=files.name.removesuffix(".service"),
        kind=_last(values, "Type") or "simple",
        words=tuple(_literal_dollars(prefix, done[: len(words)])),
        privileged="+" in prefix or "!" in prefix,
        working=_working(working, user),
        user=user or None,
        env=_assignments(done[len(words) : len(words) + len(pairs)]),
        env_files=tuple(
            EnvFile(path=path.lstrip("-"), optional=path.startswith("-"))
            for path, _ in files_of_env
        ),
        stop_timeout=_duration(_last(values, "TimeoutStopSec")),
        has_specifiers=not all(good for _, good in (*plain, *files_of_env)),
        limits=_limits(values),
        writes=tuple(key for key in WRITES if values.get(key)),
        left_out=tuple(
            key
            for key, found in values.items()
            if found and key not in _CARRIED and key not in WRITES
            if not _DONE_ANYWAY.fullmatch(key)
        ),
    )  # fmt: skip


def _service_section(text: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    section = ""
    for line in _lines(text):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == "Service" and "=" in line:
            key, value = (half.strip() for half in line.split("=", 1))
            if not value or key not in _MULTIPLE:
                values[key] = []
            if value:
                values.setdefault(key, []).append(value)
    return values


def _lines(text: str) -> list[str]:
    """Continued ones as one, without comments, which may stand between continued ones too."""
    plain = (line for line in text.splitlines() if not line.lstrip().startswith(("#", ";")))
    return [line.strip() for line in re.sub(r"\\\n\s*", " ", "\n".join(plain)).splitlines()]


def _last(values: Mapping[str, list[str]], key: str) -> str | None:
    found = values.get(key)
    return found[-1] if found else None


def _assignments(words: Sequence[str]) -> dict[str, str]:
    pairs = (word.partition("=") for word in words)
    return {name: value for name, equals, value in pairs if equals and _VARIABLE.fullmatch(name)}


def _command(words: list[str]) -> tuple[str, tuple[str, ...]]:
    """The prefix of the program, and the command without it."""
    if not words:
        return "", ()
    program = words[0].lstrip(_PREFIXES)
    prefix = words[0][: len(words[0]) - len(program)]
    # After an @ the second word is only the name that the process shall have.
    return prefix, (program, *words[2 if "@" in prefix else 1 :])


def _literal_dollars(prefix: str, words: Sequence[str]) -> list[str]:
    """After a colon nothing is substituted: as if each dollar were written twice."""
    return [word.replace("$", "$$") for word in words] if ":" in prefix else list(words)


def _working(value: str, user: str) -> str | None:
    value = value.lstrip("-")
    if value == "~":
        value = os.path.expanduser(f"~{user or 'root'}")
    return value if value.startswith("/") else None


def _duration(value: str | None) -> str | None:
    """As the app file writes it; None for what it has no word for."""
    found = seconds(value or "")
    if found is None:
        return None
    if found >= 60 and found % 60 == 0:
        return f"{found / 60:.0f}m"
    return f"{found:.0f}s" if found == int(found) else f"{found * 1000:.0f}ms"


def _limits(values: Mapping[str, list[str]]) -> dict[str, str]:
    """By the app file's keys, as TOML; percent of the machine's memory or tasks has no word."""
    found = {}
    if match := re.fullmatch(r"([1-9][0-9]{0,11})([KMG]?)", _last(values, "MemoryMax") or ""):
        found["memory"] = f'"{match[1]}{match[2] + "iB" if match[2] else "B"}"'
    if match := re.fullmatch(r"([1-9][0-9]{0,5})%", _last(values, "CPUQuota") or ""):
        found["cpu"] = f'"{match[1]}%"'
    if match := re.fullmatch(r"[1-9][0-9]{0,8}", _last(values, "TasksMax") or ""):
        found["tasks"] = match[0]
    if match := re.fullmatch(r"(?:[0-9]+:)?([1-9][0-9]{1,8})", _last(values, "LimitNOFILE") or ""):
        found["open_files"] = str(max(16, int(match[1])))
    return found
