"""What source code and env files say about ports and health checks. Read as text only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bluegreen.survey.command_line import usable
from bluegreen.survey.directory import AppDirectory

SUFFIXES = (".py", ".js", ".mjs", ".cjs", ".ts")
MOST_SOURCES = 400  # files

_VARIABLE = r"(?P<variable>(?:[A-Z0-9]+_)*PORT)"
_WITH_DEFAULT = re.compile(
    rf"\b{_VARIABLE}[\"']?\]?\)?\s*(?:,|\|\||\?\?|\bor\b)\s*[\"']?(?P<port>[0-9]{{4,5}})\b"
)
_WITHOUT_DEFAULT = re.compile(
    rf"(?:environ(?:\.get)?[\[(]\s*|getenv\(\s*|process\.env[.\[]\s*)[\"']?{_VARIABLE}\b"
)
_FIXED = re.compile(
    r"(?:\b(?:PORT|port)\s*[=:]\s*|\.listen\(\s*)(?P<port>[0-9]{4,5})\b(?P<variable>)"
)
_ENV_LINE = re.compile(
    rf"^\s*(?:export\s+)?{_VARIABLE}\s*=\s*[\"']?(?P<port>[0-9]{{4,5}})[\"']?\s*$", re.MULTILINE
)
# Ports of what the app talks to, not of the app.
_OF_OTHERS = re.compile(
    r"(?:^|_)(?:DB|DATABASE|SQL|POSTGRES|POSTGRESQL|PG|MYSQL|MARIADB|MONGO|MONGODB|REDIS|VALKEY|"
    r"MEMCACHED|SMTP|MAIL|IMAP|EMAIL|RABBITMQ|AMQP|KAFKA|NATS|MQTT|ELASTIC|ELASTICSEARCH|LDAP|"
    r"SSH|FTP|STATSD|PROXY|DEBUG)_(?:[A-Z0-9]+_)*PORT$"
)
_HEALTH = re.compile(
    r"[\"'`](?P<path>/(?:[A-Za-z0-9_.-]+/)*"
    r"(?:health|healthz|healthcheck|health-check|health_check|readyz?|livez|ping|heartbeat)/?)[\"'`]"
)


@dataclass(frozen=True, kw_only=True)
class PortInSource:
    """A port and the variable that sets it, as far as either is said."""

    where: str
    number: int | None
    variable: str | None  # None: the number is fixed in the source


@dataclass(frozen=True, kw_only=True)
class Source:
    """What one file says."""

    file: str
    ports: tuple[PortInSource, ...]
    health: tuple[str, ...]


def read_sources(directory: AppDirectory) -> dict[str, Source]:
    """By file, nearest first; tests and files that say nothing of this are left out."""
    sources: dict[str, Source] = {}
    names = [name for name in directory.files if name.endswith(SUFFIXES) and not _is_test(name)]
    for name in names[:MOST_SOURCES]:
        text = directory.read(name) or ""
        ports = tuple(dict.fromkeys(_ports(name, text)))
        health = tuple(dict.fromkeys(match["path"] for match in _HEALTH.finditer(text)))
        if ports or health:
            sources[name] = Source(file=name, ports=ports, health=health)
    return sources


def ports_in_env(name: str, text: str) -> list[PortInSource]:
    """The ports that a file of KEY=VALUE lines sets; no other value is looked at."""
    return [
        PortInSource(where=name, number=int(match["port"]), variable=match["variable"])
        for match in _ENV_LINE.finditer(text)
        if is_own(match["variable"]) and usable(int(match["port"]))
    ]


def choose_port(candidates: Iterable[PortInSource], service: str) -> PortInSource | None:
    """The one for ``service``: by its name, else ``PORT``, else the only one there is."""
    every = list(candidates)
    wanted = f"{service.upper().replace('-', '_')}_PORT"
    for variable in (wanted, "PORT"):
        named = [port for port in every if port.variable == variable]
        if named:
            return next((port for port in named if port.number is not None), named[0])
    names = {port.variable for port in every}
    if len(names) != 1:
        return None
    return next((port for port in every if port.number is not None), every[0])


def is_own(variable: str) -> bool:
    return _OF_OTHERS.search(variable) is None


def in_part(sources: Mapping[str, Source], part: str) -> list[Source]:
    """Those inside ``part``; ``""`` has them all."""
    return [source for file, source in sources.items() if not part or file.startswith(f"{part}/")]


def _ports(name: str, text: str) -> Iterable[PortInSource]:
    for pattern in (_WITH_DEFAULT, _WITHOUT_DEFAULT, _FIXED):
        for match in pattern.finditer(text):
            number = int(match["port"]) if pattern.groups == 2 else None
            variable = match["variable"] or None
            if variable is not None and not is_own(variable):
                continue
            if number is None or usable(number):
                yield PortInSource(where=name, number=number, variable=variable)


def _is_test(name: str) -> bool:
    *folders, file = name.split("/")
    return (
        not {"test", "tests", "spec", "__tests__", "migrations"}.isdisjoint(folders)
        or file.startswith("test_")
        or ".test." in file
        or ".spec." in file
    )
