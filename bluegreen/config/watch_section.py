"""``[watch]``: how long, and by what, a release is watched after the switch."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from bluegreen.config.questions import CommandProbe, Probe
from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import (
    Duration,
    Line,
    Name,
    PositiveDuration,
    Share,
    Switch,
    parse_duration,
)

SHORTEST_WINDOW, LONGEST_WINDOW = 1.0, 60.0  # seconds
MOST_REQUIRED = 1_000_000  # requests
WATCH_LIMITS = frozenset({"max_error_rate", "max_p99", "max_p99_ratio"})


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not value.isascii() or " " in value:
        raise ValueError('a URL such as "http://127.0.0.1:9090/api/v1/query"')
    if parts.username is not None or parts.password is not None:
        raise ValueRefusedError(
            "the URL holds credentials", "Keep them out of the app file: it is read by many"
        )
    if set("{}") & set(parts.netloc):
        raise ValueRefusedError(
            "a placeholder in the host would let a version choose the server",
            "Write the host in full, and {version} in the path or in params",
        )
    return value


def _path(value: str) -> str:
    if not all(value.split(".")):
        raise ValueError('names with dots between them, such as "data.result.0.value.1"')
    return value


class HttpMetric(Section):
    """``http`` of a metric: asks for a JSON document and takes a number from it."""

    url: Annotated[Line, AfterValidator(_url)]
    params: dict[str, str] = Field(default={})  # of the query; placeholders are expanded
    value: Annotated[Line, AfterValidator(_path)]  # the dotted path of the number


class Metric(Section):
    """``[[watch.metrics]]``: a number of somebody else's, and what it may be."""

    name: Name
    service: Name | None = None  # whose variables and placeholders a command gets
    http: HttpMetric | None = None
    command: CommandProbe | None = None  # the last line that it prints is the number
    min: Annotated[float, Field(strict=True, allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(strict=True, allow_inf_nan=False)] | None = None
    interval: PositiveDuration = 5.0
    timeout: PositiveDuration = 5.0

    @model_validator(mode="after")
    def _one_way_and_a_limit(self) -> Metric:
        if (self.http is None) is (self.command is None):
            raise ValueRefusedError(
                "a metric is asked by exactly one of http and command",
                "Give it one of them; a second one is a second [[watch.metrics]]",
            )
        if (self.service is None) is not (self.command is None):
            raise ValueRefusedError(
                "a command runs with the variables of a service, and http asks a URL",
                "Name a service for a command, and none for http",
            )
        if self.min is None and self.max is None:
            raise ValueRefusedError(
                "nothing says what it may be", "Write max = 0.5, or min = 100, or both"
            )
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueRefusedError("min is more than max", "Exchange them")
        return self


def _window(value: Any) -> Any:
    seconds = parse_duration(value)
    if not SHORTEST_WINDOW <= seconds <= LONGEST_WINDOW:
        raise ValueError('a time of 1 second to 1 minute, such as "10s"')
    return seconds


def _that_may_come(requests: int) -> int:
    if requests > MOST_REQUIRED:
        raise ValueRefusedError(
            f"no release would be judged before {requests} requests have come",
            f"Write a whole number from 1 to {MOST_REQUIRED}: so many show one failure of 100000, "
            "and nginx tells of 30000 a second at the most",
        )
    if requests < 1:
        raise ValueError(f"a whole number from 1 to {MOST_REQUIRED}")
    return requests


class Watch(Section):
    """``[watch]``. Limits are of what nginx tells of the requests of visitors."""

    for_: Duration = Field(default=60.0, alias="for")
    interval: PositiveDuration = 2.0
    failures: Annotated[int, Field(ge=1, strict=True)] = 3  # in a row, of one probe or metric
    probes: tuple[Probe, ...] | None = None  # None: those of the gate
    requests: Switch = True  # nginx tells of them while a release goes on
    max_error_rate: Share | None = None  # of requests that were answered 5xx
    max_p99: PositiveDuration | None = None
    max_p99_ratio: Annotated[float, Field(ge=1, strict=True, allow_inf_nan=False)] | None = None
    min_requests: Annotated[int, Field(strict=True), AfterValidator(_that_may_come)] = (
        20  # fewer are not judged
    )
    window: Annotated[float, BeforeValidator(_window)] = 10.0
    on_few: Literal["pass", "fail"] = "pass"
    metrics: tuple[Metric, ...] = ()
    failover: Switch = False  # between releases, to a standby that is ready

    @property
    def has_limits(self) -> bool:
        """Whether it is judged by the requests of visitors."""
        return any(getattr(self, key) is not None for key in WATCH_LIMITS)

    @field_validator("metrics")
    @classmethod
    def _told_apart(cls, metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
        names = [metric.name for metric in metrics]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueRefusedError(f"two metrics are named {twice}", "Give each its own name")
        return metrics

    @model_validator(mode="after")
    def _limits_of_something(self) -> Watch:
        if self.has_limits and not self.requests:
            raise ValueRefusedError(
                "it has limits for requests, and requests = false keeps nginx from telling of them",
                "Remove requests = false, or max_error_rate, max_p99 and max_p99_ratio",
            )
        return self
