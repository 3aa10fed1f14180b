"""What a load saw: frozen records, written as JSON by one process and read by another.

Times are seconds since the load began, unless a name or a line says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

BUCKET_SECONDS = 0.1


class Client(StrEnum):
    """The kinds of visitors that a load sends."""

    POST = "post"  # keep-alive connection, one POST after the other
    WEBSOCKET = "websocket"  # stays open, every message must come back
    DOWNLOAD = "download"  # a slow one, whose every byte must arrive


class FailureKind(StrEnum):
    """How a visitor was let down."""

    CONNECT = "connect"  # no connection, or no WebSocket handshake
    CLOSED_IDLE = "closed idle"  # the connection was closed, unannounced, between two requests
    CLOSED = "closed"  # the connection ended with a request sent and nothing answered
    SHORT = "short"  # the answer ended early
    STATUS = "status"  # answered with another status than 200
    ANSWER = "answer"  # status 200 with something else than what the app answers
    TIMEOUT = "timeout"  # no answer in time
    CUT = "cut"  # an open WebSocket ended


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One visitor let down, once. ``reason`` is a sentence."""

    at: float
    client: Client
    kind: FailureKind
    reason: str


@dataclass(frozen=True, kw_only=True)
class FailureCount:
    """How often a kind of failure happened, also where the single failures are not all kept."""

    client: Client
    kind: FailureKind
    count: int


@dataclass(frozen=True, kw_only=True)
class Series:
    """The requests that a version answered from a slot: a count for each bucket of time."""

    slot: str
    version: str
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long the answered POSTs took, in seconds."""

    median: float
    p90: float
    p99: float
    p999: float
    slowest: float


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A load as it stands; cheap to take. ``served`` counts requests by (slot, version)."""

    at: float
    requests: int
    failures: int
    served: Mapping[tuple[str, str], int]
    latest: tuple[str, str] | None  # the (slot, version) that answered last
    messages: int
    websockets_open: int
    websockets_cut: int
    downloads_done: int
    downloads_broken: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole load. ``failures`` holds the first of them, ``failure_counts`` counts all."""

    started_at: float  # Unix seconds
    seconds: float
    bucket: float  # seconds that one count of a series covers
    connections: int
    websockets: int
    downloads: int
    requests: int
    latency: Latency
    series: tuple[Series, ...]
    connections_opened: int  # by POSTs; more than ``connections`` when some were closed on us
    websockets_opened: int
    messages: int
    downloads_done: int
    failures: tuple[Failure, ...]
    failure_counts: tuple[FailureCount, ...]

    @property
    def failed(self) -> int:
        """All failures of all visitors."""
        return sum(each.count for each in self.failure_counts)

    @property
    def failed_requests(self) -> int:
        """POSTs without their answer, and idle connections closed on us."""
        return self._count(Client.POST)

    @property
    def websockets_cut(self) -> int:
        """Open WebSockets that ended or fell silent; refused handshakes are not among them."""
        return self._count(Client.WEBSOCKET) - self._count(Client.WEBSOCKET, FailureKind.CONNECT)

    @property
    def downloads_broken(self) -> int:
        return self._count(Client.DOWNLOAD)

    def _count(self, client: Client, kind: FailureKind | None = None) -> int:
        return sum(
            each.count
            for each in self.failure_counts
            if each.client is client and kind in (None, each.kind)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Report:
        """The report that ``to_json`` wrote."""
        return cls(
            **{
                **document,
                "latency": Latency(**document["latency"]),
                "series": tuple(
                    Series(**{**each, "counts": tuple(each["counts"])})
                    for each in document["series"]
                ),
                "failures": tuple(
                    Failure(
                        **{
                            **each,
                            "client": Client(each["client"]),
                            "kind": FailureKind(each["kind"]),
                        }
                    )
                    for each in document["failures"]
                ),
                "failure_counts": tuple(
                    FailureCount(
                        client=Client(each["client"]),
                        kind=FailureKind(each["kind"]),
                        count=each["count"],
                    )
                    for each in document["failure_counts"]
                ),
            }
        )
