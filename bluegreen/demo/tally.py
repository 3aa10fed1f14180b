"""Counting while a load runs: cheap enough for every single answer."""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections import Counter, defaultdict

from bluegreen.demo.report import (
    BUCKET_SECONDS,
    Client,
    Failure,
    FailureCount,
    FailureKind,
    Latency,
    Report,
    Series,
    Snapshot,
)

FAILURES_KEPT = 10_000


class Tally:
    """What the visitors of one load have seen so far. Belongs to one event loop."""

    def __init__(self, *, connections: int, websockets: int, downloads: int) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._began_at = time.time()
        self._visitors = (connections, websockets, downloads)
        self._awaited = connections + websockets + downloads
        self.everyone_served = asyncio.Event()
        if self._awaited == 0:
            self.everyone_served.set()
        self._buckets: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
        self._served: Counter[tuple[str, str]] = Counter()
        self._latest: tuple[str, str] | None = None
        self._latencies = array("d")
        self._failures: list[Failure] = []
        self._failure_counts: Counter[tuple[Client, FailureKind]] = Counter()
        self.connections_opened = 0
        self.websockets_opened = 0
        self.websockets_open = 0
        self.messages = 0
        self.downloads_done = 0

    def first_served(self) -> None:
        """One more visitor has had its first good answer; to be said once by each."""
        self._awaited -= 1
        if self._awaited == 0:
            self.everyone_served.set()

    def answered(self, slot: str, version: str, *, sent: float) -> None:
        """A POST was answered now; ``sent`` is the loop's time at which it was sent."""
        now = self._clock()
        origin = (slot, version)
        self._buckets[origin][int((now - self._began) / BUCKET_SECONDS)] += 1
        self._served[origin] += 1
        self._latest = origin
        self._latencies.append(now - sent)

    def failed(self, client: Client, kind: FailureKind, reason: str) -> None:
        """A visitor was let down now."""
        self._failure_counts[client, kind] += 1
        if len(self._failures) < FAILURES_KEPT:
            at = self._clock() - self._began
            self._failures.append(Failure(at=at, client=client, kind=kind, reason=reason))

    def snapshot(self) -> Snapshot:
        """The counts as they stand."""
        return Snapshot(
            at=self._clock() - self._began,
            requests=self._served.total(),
            failures=self._failure_counts.total(),
            served=dict(self._served),
            latest=self._latest,
            messages=self.messages,
            websockets_open=self.websockets_open,
            websockets_cut=sum(
                count
                for (client, kind), count in self._failure_counts.items()
                if client is Client.WEBSOCKET and kind is not FailureKind.CONNECT
            ),
            downloads_done=self.downloads_done,
            downloads_broken=sum(
                count
                for (client, _), count in self._failure_counts.items()
                if client is Client.DOWNLOAD
            ),
        )

    def report(self) -> Report:
        """Everything up to now."""
        seconds = self._clock() - self._began
        buckets = int(seconds / BUCKET_SECONDS) + 1
        connections, websockets, downloads = self._visitors
        return Report(
            started_at=self._began_at,
            seconds=seconds,
            bucket=BUCKET_SECONDS,
            connections=connections,
            websockets=websockets,
            downloads=downloads,
            requests=self._served.total(),
            latency=_latency(self._latencies),
            series=tuple(
                Series(
                    slot=slot,
                    version=version,
                    counts=tuple(counts[bucket] for bucket in range(buckets)),
                )
                for (slot, version), counts in self._buckets.items()
            ),
            connections_opened=self.connections_opened,
            websockets_opened=self.websockets_opened,
            messages=self.messages,
            downloads_done=self.downloads_done,
            failures=tuple(self._failures),
            failure_counts=tuple(
                FailureCount(client=client, kind=kind, count=count)
                for (client, kind), count in sorted(self._failure_counts.items())
            ),
        )


def _latency(seconds: array[float]) -> Latency:
    """Percentiles by nearest rank; all zero without a single answer."""
    ordered = sorted(seconds) or [0.0]

    def rank(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return Latency(
        median=rank(0.5), p90=rank(0.9), p99=rank(0.99), p999=rank(0.999), slowest=ordered[-1]
    )
