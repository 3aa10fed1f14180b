"""Questions to a service, as a file asks them: probes, and the steps of a smoke scenario."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import (
    Command,
    JsonValue,
    Line,
    Name,
    PositiveDuration,
    RequestPath,
    Status,
)


def _status_kind(value: Any) -> str:
    return "<several>" if isinstance(value, list | tuple) else "<one>"


class HttpQuestion(Section):
    """Passes on an answer of that status with those fields. Placeholders are expanded."""

    path: RequestPath
    method: str = "GET"
    status: Annotated[
        Annotated[Status, Tag("<one>")]
        | Annotated[tuple[Status, ...], Field(min_length=1), Tag("<several>")],
        Discriminator(_status_kind),
    ] = 200
    headers: dict[str, Line] = Field(default={})  # of the answer; compared without case of the name
    request_headers: dict[str, Line] = Field(default={})
    body: str | None = None  # a text that the answer's body contains
    json_fields: dict[str, JsonValue] = Field(default={}, alias="json")  # dotted path = value


class HttpProbe(HttpQuestion):
    """``http`` of a probe, which is asked over and over."""

    method: Literal["GET", "HEAD", "POST"] = "GET"


class TcpProbe(Section):
    """Passes when the port accepts a connection."""


class WebSocketProbe(Section):
    """Passes when ``send`` is answered by a message that contains ``expect``."""

    path: RequestPath
    send: str | None = None
    expect: str
    headers: dict[str, Line] = Field(default={})  # of the request


class CommandProbe(Section):
    """Passes when the command, run in the slot's tree, exits 0."""

    run: Command


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
            raise ValueRefusedError(
                "a probe is exactly one of http, tcp, websocket, command",
                "Give it one of them, such as tcp = {}; a second one is a second [[gate.probes]]",
            )
        return self

    @property
    def _kinds(self) -> tuple[Section | None, ...]:
        return (self.http, self.tcp, self.websocket, self.command)

    @property
    def label(self) -> str:
        """``http /api/health``: which probe, for people."""
        if self.name is not None:
            return self.name
        return "tcp" if self.tcp is not None else question(self.http, self.websocket)


def question(http: HttpQuestion | None, websocket: WebSocketProbe | None) -> str:
    """What is asked; without either it is a command."""
    if http is not None:
        return f"{'http' if http.method == 'GET' else http.method} {http.path}"
    return "command" if websocket is None else f"websocket {websocket.path}"


class SmokeRequest(HttpQuestion):
    """``http`` of a smoke step: a request with a body, of whose answer fields are captured."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    send: str | None = None
    send_json: dict[str, JsonValue] | None = None
    capture: dict[Name, Line] = Field(
        default={}
    )  # name = dotted path of a field; then ``{captured.NAME}``

    @model_validator(mode="after")
    def _one_body(self) -> SmokeRequest:
        if self.send is not None and self.send_json is not None:
            raise ValueRefusedError(
                "a request has one body, and this has send and send_json", "Remove one of them"
            )
        return self


class SmokeStep(Section):
    """``[[gate.smoke]]``: exactly one of http, websocket, command."""

    service: Name
    name: Name | None = None
    http: SmokeRequest | None = None
    websocket: WebSocketProbe | None = None
    command: CommandProbe | None = None
    timeout: PositiveDuration = 10.0

    @model_validator(mode="after")
    def _exactly_one(self) -> SmokeStep:
        if sum(kind is not None for kind in (self.http, self.websocket, self.command)) != 1:
            raise ValueRefusedError(
                "a smoke step is exactly one of http, websocket, command",
                "Give it one of them; the next one is another [[gate.smoke]]",
            )
        return self

    @property
    def label(self) -> str:
        """``smoke POST /api/login``: which step, for people."""
        return f"smoke {self.name or question(self.http, self.websocket)}"
