"""The kinds of value that the files hold: each is checked, and says what would be right.

Durations are seconds (``"10m"``, ``"1.5s"``, ``"500ms"`` in a file), sizes are bytes
(``"16MiB"``). A plain ValueError's text completes "Write …"; a ValueRefusedError carries both
halves.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import shlex
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Annotated, Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from bluegreen.config.git_url import check_git_url
from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.version_numbers import version_number
from bluegreen.config.versions import check_version
from bluegreen.errors import UsageError

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m|h|d)")
_LONG_DURATION = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d)")
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%")
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(B|KiB|MiB|GiB|kB|MB|GB)")
_SIZE_UNITS = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9,
}  # fmt: skip


def parse_duration(value: Any) -> float:
    """Seconds from ``"10m"``; raises ValueError that says what would be right."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        if isinstance(value, str) and _LONG_DURATION.fullmatch(value):
            raise ValueError(
                "a number and a unit of time, of at most 12 digits before its point and after it"
            )
        raise ValueError('a number and a unit of time: "500ms", "30s", "10m", "24h" or "7d"')
    return float(match[1]) * _DURATION_UNITS[match[2]]


def parse_size(value: Any) -> int:
    """Bytes from ``"16MiB"``; raises ValueError that says what would be right."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a number and a unit of size: "512KiB", "16MiB" or "1GiB"')
    return int(float(match[1]) * _SIZE_UNITS[match[2]])


def parse_percent(value: Any) -> int:
    """Percent from ``"50%"``; raises ValueError that says what would be right."""
    match = re.fullmatch(r"([0-9]{1,6})%", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('percent of one CPU: "50%", or "200%" for two of them')
    return int(match[1])


def parse_share(value: Any) -> float:
    """A share of 0 to 1 from ``"0.5%"``; raises ValueError that says what would be right."""
    match = (
        re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%", value) if isinstance(value, str) else None
    )
    if match is None or float(match[1]) > 100:
        raise ValueError('a share in percent, such as "1%" or "0.5%"')
    return float(match[1]) / 100


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", value):
        raise ValueError(
            "a name of lower-case letters, digits and dashes, "
            "beginning with a letter, at most 40 long"
        )
    return value


def _user(value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", value):
        raise ValueError('the name of a user of this host, such as "www-data"')
    return value


def _variable(value: str) -> str:
    if value == "env_file":
        raise ValueRefusedError(
            "env_file is not a variable", 'Write env_file = "/path" beside env, not inside it'
        )
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("a variable's name: letters, digits and _, not beginning with a digit")
    return value


def _inside(value: str) -> str:
    parts = value.split("/")
    if value.startswith("/") or {"..", "", "."} & set(parts) or not value.isprintable():
        raise ValueError(
            'a path inside the release, such as "data" or "backend/.env": '
            "relative, without '..', empty parts and control characters"
        )
    return value


def _shared(value: str) -> str:
    try:
        return _inside(value)
    except ValueError:
        raise ValueError(
            'a path inside the app\'s shared directory, such as "data/app.db": relative, without '
            "'..', empty parts and control characters"
        ) from None


def _postgres(value: str) -> str:
    try:
        url = urlsplit(_one_line(value))
        secret = url.password is not None or "password" in parse_qs(url.query)
    except ValueError:
        url, secret = urlsplit(""), False
    if secret:
        raise ValueRefusedError(
            "there is a password in it, which every user of this host could see",
            "Leave it out, and set PGPASSWORD or PGPASSFILE in [env]: "
            'PGPASSWORD = { file = "/path" }',
        )
    if url.scheme not in ("postgresql", "postgres") or " " in value:
        raise ValueError(
            'the address of a PostgreSQL database, without a password: "postgresql:///app" or '
            '"postgresql://user@127.0.0.1:5432/app"'
        )
    if "{copy}" in value:
        raise ValueRefusedError(
            "{copy} is not filled in here, where the database itself is named",
            "Write its real name; {copy} belongs behind the name where the app gets it: in [env]",
        )
    if not all(_is_port(port) for port in _postgres_ports(url)):
        # Not repeated: who forgot the @ has a password there.
        raise ValueRefusedError(
            "what it has for a port is none", "Write a number from 1 to 65535, or leave it out"
        )
    return value


def _postgres_ports(url: SplitResult) -> Iterator[str]:
    """Of each host, as libpq takes several of them; of port=, too."""
    hosts = url.netloc.rpartition("@")[2].split(",")
    queried = parse_qs(url.query).get("port", [])
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts]
    for port in (*ports, *(one for ports_of in queried for one in ports_of.split(","))):
        if port:  # libpq's own default otherwise
            yield port


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 0 < int(text) < 65536


def _absolute(value: str) -> str:
    if not value.startswith("/") or any(ord(character) < 32 for character in value):
        raise ValueError("an absolute path, beginning with /")
    return value


def _socket(value: str) -> str:
    # nginx reads it too: nothing that could end a directive.
    if not re.fullmatch(r"[A-Za-z0-9._/@+-]+", value) or ".." in value.split("/"):
        raise ValueError(
            'a path of letters, digits and . _ / @ + -: "api-blue.sock" (in the app\'s run '
            'directory) or "/run/shop/api-blue.sock"'
        )
    return value


INSTANCE = "{instance}"  # in the path of a socket: which instance of the service listens there


def _slot_socket(value: str) -> str:
    _socket(value.replace(INSTANCE, "1"))
    return value


def _endpoint(value: str) -> str:
    address, colon, port = value.rpartition(":")
    if colon and not value.startswith("/") and "%" not in value:
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
            if ("[" in value) == (":" in address) and port.isdecimal() and 0 < int(port) < 65536:
                return value
    elif value.startswith("/") and "//" not in value:
        return _socket(value)
    raise ValueError(
        'an address with a port, "127.0.0.1:9000" or "[::1]:9000", or the path of a socket, '
        '"/run/shop/api.sock"'
    )


def _request_path(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~!&'()*+,=:@%/?{}-]*", value):
        raise ValueError('a path of the site, such as "/" or "/api/health"')
    return value


def _location(value: str) -> str:
    # nginx compares it with paths from which it has taken such parts: it would never be found.
    merged = "//" in value or not {".", ".."}.isdisjoint(value.split("/"))
    if not re.fullmatch(r"/[A-Za-z0-9._~@%/-]*", value) or merged:
        raise ValueError("a path of the site, such as \"/\" or \"/api/\", without '..' or '//'")
    return value


def _listen(value: str) -> str:
    if re.fullmatch(r"(?:[0-9.]+:|\[[0-9A-Fa-f:]+\]:)?[0-9]{1,5}", value):
        address, _, port = value.rpartition(":")
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(address.strip("[]") or "0.0.0.0")  # noqa: S104
            if 0 < int(port) < 65536:
                return value
    raise ValueError('a port or an IP address with one: "80", "127.0.0.1:8080", "[::1]:8080"')


def check_server_name(value: str) -> str:
    """``value``; ValueError for what nginx would not take for one."""
    if value != "_" and not re.fullmatch(r"(?:\*\.)?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", value):
        raise ValueError('a host name such as "mon.example.org", "*.example.org", or "_" for any')
    return value


def _one_line(value: str) -> str:
    if any(ord(character) < 32 and character != "\t" for character in value):
        raise ValueError("one line of text, without control characters")
    return value


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError('text in quotes, such as "1", or { file = "/path" }')
    return value


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("text without NUL characters")
    return value


TO_FILL_IN = "TO-FILL-IN"  # in a draft, the command that was not found


def _command(value: str) -> str:
    if value == TO_FILL_IN:
        raise ValueRefusedError(
            "nothing says yet what starts this service",
            'Write its command here, such as ".venv/bin/python app.py"',
        )
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise ValueRefusedError(
            f"the command cannot be split into words ({error})".replace("No ", "no "),
            "Close the quotes, and write a backslash twice",
        ) from error
    if not words or not words[0]:
        raise ValueError('a program and its arguments, such as ".venv/bin/python app.py"')
    program = words[0]
    # What begins with a placeholder is absolute, or a name.
    if not program.startswith(("/", "{")) and os.path.normpath(program).split("/")[0] == "..":
        raise ValueRefusedError(
            f'"{program}" is outside the release',
            'Write a program of the release (".venv/bin/python"), an absolute path, or the name '
            "of one on the PATH",
        )
    return value


def _specifiers(value: str) -> str:
    wanted = 'versions to compare with, such as ">=3.8" or ">=2.2,<3"'
    try:
        empty = not SpecifierSet(value)
    except InvalidSpecifier as error:
        raise ValueError(wanted) from error
    if empty:
        raise ValueError(wanted)
    return value


def _release_version(value: str) -> str:
    with contextlib.suppress(UsageError):
        if version_number(check_version(value)) is not None:
            return value
    raise ValueError('a version as it is deployed, such as "2.2" or "v2.2.0"')


def _command_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}", value):
        raise ValueError('the name of a command on the PATH, such as "python3"')
    return value


def _pattern(value: str) -> str:
    try:
        matches_nothing = re.compile(value).search("") is not None
    except re.error as error:
        raise ValueRefusedError(
            f"no regular expression: {error}",
            r'Write one as Python has them, such as "\\[(FATAL|ERROR)\\]"',
        ) from error
    if matches_nothing:
        raise ValueRefusedError(
            "it matches an empty line", r'Write what a line must hold, such as "\\[FATAL\\]"'
        )
    return value


def _sentence(value: str) -> str:
    if not value.isprintable() or value != value.strip() or not 0 < len(value) <= 200:
        raise ValueError("one line of text, at most 200 characters, without blanks around it")
    return value


def _json_value(value: Any) -> Any:
    if isinstance(value, date | datetime | time):
        raise ValueError("a value that JSON has: text, a number, true, false, a list or a table")
    return value


def within(least: int, most: int) -> AfterValidator:
    """Of a whole number: what is out of bounds is told both of them."""

    def check(value: int) -> int:
        if not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return value

    return AfterValidator(check)


Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0)]
PositiveDuration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
Percent = Annotated[int, BeforeValidator(parse_percent), Field(gt=0)]
Share = Annotated[float, BeforeValidator(parse_share)]
Name = Annotated[str, AfterValidator(_name)]
UserName = Annotated[str, AfterValidator(_user)]
Switch = Annotated[bool, Field(strict=True)]
Port = Annotated[int, Field(strict=True), within(1, 65535)]
InsidePath = Annotated[str, StringConstraints(min_length=1), AfterValidator(_inside)]
SharedPath = Annotated[str, StringConstraints(min_length=1), AfterValidator(_shared)]
PostgresUrl = Annotated[str, AfterValidator(_postgres)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
SocketPath = Annotated[str, AfterValidator(_slot_socket)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
RequestPath = Annotated[str, AfterValidator(_request_path)]
Location = Annotated[str, AfterValidator(_location)]
Listen = Annotated[str, AfterValidator(_listen)]
ServerName = Annotated[str, AfterValidator(check_server_name)]
Line = Annotated[str, StringConstraints(min_length=1), AfterValidator(_one_line)]
Command = Annotated[Line, AfterValidator(_command)]
Script = Annotated[str, StringConstraints(min_length=1), AfterValidator(_without_nul)]
VariableName = Annotated[str, AfterValidator(_variable)]
Status = Annotated[int, Field(strict=True), within(100, 599)]
GitUrl = Annotated[Line, AfterValidator(check_git_url)]
EnvText = Annotated[str, BeforeValidator(_text), AfterValidator(_without_nul)]
DefaultText = Annotated[str, AfterValidator(_one_line)]
Specifiers = Annotated[str, AfterValidator(_specifiers)]
ReleaseVersion = Annotated[str, AfterValidator(_release_version)]
CommandName = Annotated[str, AfterValidator(_command_name)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Sentence = Annotated[str, AfterValidator(_sentence)]
JsonValue = Annotated[Any, AfterValidator(_json_value)]
