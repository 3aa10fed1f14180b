"""The app file and the daemon's file as validated, frozen settings: the core sees only these.

Durations are seconds (``"10m"``, ``"1.5s"``, ``"500ms"`` in the file), sizes are bytes
(``"16MiB"``). How a file becomes settings, with errors that name the line, is in ``load``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from bluegreen.model import Address, Slot, SwitchMode

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|kB|MB|GB)")
_SIZE_UNITS = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9,
}  # fmt: skip


def parse_duration(value: Any) -> Any:
    """Seconds from ``"10m"``; raises ValueError that says what would be right."""
    if isinstance(value, float):
        return value  # a default, already in seconds
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a duration is a number and a unit, such as "500ms", "30s", "10m", "24h"')
    return float(match[1]) * _DURATION_UNITS[match[2]]


def parse_size(value: Any) -> Any:
    """Bytes from ``"16MiB"``; raises ValueError that says what would be right."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value  # a default, already in bytes
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a size is a number and a unit, such as "512KiB", "16MiB", "1GiB"')
    return int(float(match[1]) * _SIZE_UNITS[match[2]])


def _inside(value: str) -> str:
    parts = value.split("/")
    if value.startswith("/") or ".." in parts or "" in parts or "." in parts or "\0" in value:
        raise ValueError(
            'a path inside the release, such as "data" or "backend/.env": '
            "relative, without '..' and without empty parts"
        )
    return value


def _request_path(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~!&'()*+,=:@%/?-]*", value):
        raise ValueError('a path of the site, such as "/" or "/api/health"')
    return value


def _location(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~@%/-]*", value):
        raise ValueError('a path of the site, such as "/" or "/api/"')
    return value


def _listen(value: str) -> str:
    if not re.fullmatch(r"(?:[0-9.]+:|\[[0-9A-Fa-f:]+\]:)?\d{1,5}", value) or not (
        0 < int(value.rsplit(":", 1)[-1]) < 65536
    ):
        raise ValueError('a port or an address with one: "80", "127.0.0.1:8080", "[::1]:8080"')
    return value


def _server_name(value: str) -> str:
    if value != "_" and not re.fullmatch(r"(?:\*\.)?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", value):
        raise ValueError('a host name such as "mon.example.org", "*.example.org", or "_" for any')
    return value


def _one_line(value: str) -> str:
    if any(ord(character) < 32 and character != "\t" for character in value):
        raise ValueError("one line of text, without control characters")
    return value


Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0)]
PositiveDuration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
InsidePath = Annotated[str, StringConstraints(min_length=1), AfterValidator(_inside)]
RequestPath = Annotated[str, AfterValidator(_request_path)]
Location = Annotated[str, AfterValidator(_location)]
Listen = Annotated[str, AfterValidator(_listen)]
ServerName = Annotated[str, AfterValidator(_server_name)]
Line = Annotated[str, StringConstraints(min_length=1), AfterValidator(_one_line)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Status = Annotated[int, Field(ge=100, le=599, strict=True)]


class Section(BaseModel):
    """A table of a file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)


class SecretFile(Section):
    """A value kept in a file of its own: ``{ file = "/etc/bluegreen/secrets/jwt" }``."""

    file: Annotated[str, StringConstraints(pattern=r"^/")]


Environment = dict[VariableName, str | SecretFile]


class App(Section):
    """``[app]``."""

    name: Name
    user: Name | None = None
    shared: tuple[InsidePath, ...] = ()


class Source(Section):
    """``[source]``: exactly one of ``git`` and ``directory``."""

    git: Line | None = None
    directory: Annotated[str, StringConstraints(pattern=r"^/")] | None = None
    submodules: bool = True
    timeout: PositiveDuration = 300.0

    @model_validator(mode="after")
    def _exactly_one(self) -> Source:
        if (self.git is None) == (self.directory is None):
            raise ValueError("exactly one of git and directory says where releases come from")
        return self


class BuildStep(Section):
    """``[[build]]``: run by ``/bin/sh -c`` in the release's tree."""

    name: Name
    run: Annotated[str, StringConstraints(min_length=1)]
    timeout: PositiveDuration = 600.0
    env: Environment = {}
    env_file: str | None = None


class SlotPorts(Section):
    """A loopback TCP port for each slot."""

    blue: Port
    green: Port

    @model_validator(mode="after")
    def _differ(self) -> SlotPorts:
        if self.blue == self.green:
            raise ValueError("the two slots need ports of their own")
        return self


class SlotSockets(Section):
    """A unix socket for each slot: absolute, or inside the app's run directory."""

    blue: Line
    green: Line

    @model_validator(mode="after")
    def _differ(self) -> SlotSockets:
        if self.blue == self.green:
            raise ValueError("the two slots need sockets of their own")
        return self


class Service(Section):
    """``[services.NAME]``. Without ports and sockets it is a worker without traffic."""

    command: Line
    ports: SlotPorts | None = None
    sockets: SlotSockets | None = None
    env: Environment = {}
    env_file: str | None = None
    keepalive: Annotated[int, Field(ge=0, le=1024, strict=True)] = 16
    stop_timeout: Duration = 10.0

    @model_validator(mode="after")
    def _one_address(self) -> Service:
        if self.ports is not None and self.sockets is not None:
            raise ValueError("a service listens on ports or on sockets, not on both")
        return self

    def address(self, slot: Slot, run: Path) -> Address | None:
        """Where it listens in ``slot``; relative sockets are inside ``run``. None: a worker."""
        if self.ports is not None:
            return Address(port=self.ports.blue if slot is Slot.BLUE else self.ports.green)
        if self.sockets is not None:
            return Address(
                socket=run / (self.sockets.blue if slot is Slot.BLUE else self.sockets.green)
            )
        return None


class Route(Section):
    """``[[routes]]``: what nginx sends to which service."""

    path: Location
    service: Name
    websocket: bool = False
    timeout: PositiveDuration = 60.0


class Nginx(Section):
    """``[nginx]``. ``switch`` is None where the file leaves it to the mode's default."""

    server_name: tuple[ServerName, ...] = ("_",)
    listen: Annotated[tuple[Listen, ...], Field(min_length=1)] = ("80",)
    mode: Literal["site", "snippet", "upstream"] = "site"
    switch: SwitchMode = SwitchMode.MARKER
    max_body: Size = 16 * 2**20


class HttpProbe(Section):
    """Passes on an answer of that status with those fields. Placeholders are expanded."""

    path: RequestPath
    method: Literal["GET", "HEAD", "POST"] = "GET"
    status: Status | tuple[Status, ...] = 200
    headers: dict[str, Line] = {}  # of the answer; compared without case of the name
    request_headers: dict[str, Line] = {}
    body: str | None = None  # a text that the answer's body contains
    json_fields: dict[str, Any] = Field(default={}, alias="json")  # dotted path = value


class TcpProbe(Section):
    """Passes when the port accepts a connection."""


class WebSocketProbe(Section):
    """Passes when ``send`` is answered by a message that contains ``expect``."""

    path: RequestPath
    send: str | None = None
    expect: str
    headers: dict[str, Line] = {}  # of the request


class CommandProbe(Section):
    """Passes when the command, run in the slot's tree, exits 0."""

    run: Line


class Probe(Section):
    """``[[gate.probes]]``: exactly one of http, tcp, websocket, command."""

    service: Name
    name: Name | None = None
    http: HttpProbe | None = None
    tcp: TcpProbe | None = None
    websocket: WebSocketProbe | None = None
    command: CommandProbe | None = None
    interval: PositiveDuration = 1.0
    timeout: PositiveDuration = 5.0

    @model_validator(mode="after")
    def _exactly_one(self) -> Probe:
        if sum(kind is not None for kind in self._kinds) != 1:
            raise ValueError("a probe is exactly one of http, tcp, websocket, command")
        return self

    @property
    def _kinds(self) -> tuple[Section | None, ...]:
        return (self.http, self.tcp, self.websocket, self.command)

    @property
    def label(self) -> str:
        """``http /api/health``: which probe, for people."""
        if self.name is not None:
            return self.name
        if self.http is not None:
            return f"{'http' if self.http.method == 'GET' else self.http.method} {self.http.path}"
        if self.websocket is not None:
            return f"websocket {self.websocket.path}"
        return "command" if self.command is not None else "tcp"


class Gate(Section):
    """``[gate]``: what a release must pass before it gets traffic."""

    deadline: PositiveDuration = 120.0
    healthy_for: Duration = 10.0
    probes: tuple[Probe, ...] = ()


class Watch(Section):
    """``[watch]``: how long, and by which probes, a release is watched after the switch."""

    for_: Duration = Field(default=60.0, alias="for")
    interval: PositiveDuration = 2.0
    failures: Annotated[int, Field(ge=1, strict=True)] = 3  # in a row, of one probe
    probes: tuple[Probe, ...] | None = None  # None: those of the gate


def _forever(value: Any) -> Any:
    return None if value in ("forever", None) else parse_duration(value)


class Keep(Section):
    """``[keep]``: ``hot`` is how long the old slot stays running; None for ever."""

    hot: Annotated[float | None, BeforeValidator(_forever)] = 86400.0


class AppSettings(Section):
    """One app file."""

    app: App
    source: Source
    env: Environment = {}
    env_file: str | None = None  # ``env_file`` of the ``[env]`` table
    build: tuple[BuildStep, ...] = ()
    services: Annotated[dict[Name, Service], Field(min_length=1)]
    routes: tuple[Route, ...] = ()
    nginx: Nginx = Nginx()
    gate: Gate = Gate()
    watch: Watch = Watch()
    keep: Keep = Keep()

    @property
    def name(self) -> str:
        return self.app.name

    @property
    def watch_probes(self) -> tuple[Probe, ...]:
        return self.gate.probes if self.watch.probes is None else self.watch.probes


class Limits(Section):
    """``[limits]`` of the daemon's file."""

    builds: Annotated[int, Field(ge=1, strict=True)] = 2




class DaemonSettings(Section):
    """``bluegreen.toml``."""

    limits: Limits = Limits()
