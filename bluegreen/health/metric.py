"""Numbers that others know of a release, and whether they are what they may be."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Coroutine, Iterator
from typing import Any

import aiohttp

from bluegreen.config.placeholders import expand
from bluegreen.config.questions import CommandProbe
from bluegreen.config.watch_section import HttpMetric, Metric, Watch
from bluegreen.errors import BluegreenError
from bluegreen.health.answer import shorten
from bluegreen.health.client import LARGEST_ANSWER
from bluegreen.health.command_probe import run_in_tree
from bluegreen.health.http_probe import MISSING, field
from bluegreen.health.repeated import Repeated
from bluegreen.health.target import Target


class UnknownError(Exception):
    """There is no number; the text says why."""


async def read_metric(metric: Metric, target: Target) -> float:
    """The number. Raises UnknownError; no fault of the release's need be behind that."""
    try:
        async with asyncio.timeout(metric.timeout):
            if metric.http is not None:
                text = await _ask(metric.http, target)
            elif metric.command is not None and metric.service is not None:
                text = await _run(metric.command, metric, metric.service, target)
    except TimeoutError:
        raise UnknownError(f"no answer within {metric.timeout:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise UnknownError(str(error) or type(error).__name__) from error
    except BluegreenError as error:
        raise UnknownError(error.message) from error
    try:
        number = float(text)
    except (ValueError, TypeError, OverflowError):
        raise UnknownError(f"not a number: {shorten(str(text), 80) or 'nothing'}") from None
    if math.isnan(number):
        raise UnknownError("not a number: NaN")
    return number


async def _ask(http: HttpMetric, target: Target) -> Any:
    values = target.values[target.services[0]]
    url = expand(http.url, values)
    params = {name: expand(text, values) for name, text in http.params.items()}
    async with (
        aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(url, params=params or None, allow_redirects=False) as response,
    ):
        body = await response.content.read(LARGEST_ANSWER)
        while len(body) < LARGEST_ANSWER and (more := await response.content.read(LARGEST_ANSWER)):
            body += more
    if response.status != 200:
        raise UnknownError(f"HTTP {response.status}")
    try:
        found = field(json.loads(body), http.value)
    except (ValueError, RecursionError):
        raise UnknownError("the answer is not JSON") from None
    if found is MISSING:
        raise UnknownError(f"there is no {http.value} in the answer")
    return found


async def _run(command: CommandProbe, metric: Metric, service: str, target: Target) -> str:
    ran = await run_in_tree(command.run, target, service, f"metric-{metric.name}", metric.timeout)
    if not ran.ok:
        raise UnknownError(ran.text)
    return ran.last_line


class _Reading:
    """What has come of one metric. ``beyond`` counts answers beyond its limits in a row."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.beyond = 0
        self.number: float | None = None  # the last that there was
        self.why_unknown: str | None = "no answer yet"

    def take(self, number: float) -> None:
        low, high = self.metric.min, self.metric.max
        is_beyond = (low is not None and number < low) or (high is not None and number > high)
        self.beyond = self.beyond + 1 if is_beyond else 0
        self.number, self.why_unknown = number, None

    def describe(self) -> str:
        """``metric orders is 3, 3 times in a row (min 10)``"""
        limits = (("min", self.metric.min), ("max", self.metric.max))
        allowed = ", ".join(f"{name} {limit:g}" for name, limit in limits if limit is not None)
        times = f", {self.beyond} times in a row" if self.beyond > 1 else ""
        return f"metric {self.metric.name} is {self.number:g}{times} ({allowed})"


class Measuring(Repeated):
    """Reads each metric of the watch over and over, while it is entered."""

    def __init__(self, target: Target, watch: Watch) -> None:
        super().__init__()
        self._target = target
        self._failures = watch.failures
        self._readings = [
            _Reading(metric)
            for metric in watch.metrics
            if metric.service is None or metric.service in target.services
        ]

    def _questions(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        target = self._target
        for reading in self._readings:
            name = f"metric {reading.metric.name} of {target.app} {target.slot}"
            yield name, self._repeat(reading)

    def beyond(self) -> str | None:
        """The first metric that was beyond its limits so often in a row, in words."""
        self._raise_failure()
        for reading in self._readings:
            if reading.beyond >= self._failures:
                return reading.describe()
        return None

    def unknown(self) -> Iterator[str]:
        """Those that never gave a number, in words."""
        for reading in self._readings:
            if reading.number is None:
                yield f"metric {reading.metric.name} gave no number: {reading.why_unknown}"

    async def _repeat(self, reading: _Reading) -> None:
        while True:
            try:
                reading.take(await read_metric(reading.metric, self._target))
            except UnknownError as error:
                reading.why_unknown = str(error)
            await asyncio.sleep(reading.metric.interval)
