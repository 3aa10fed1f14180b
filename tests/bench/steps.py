"""Shares of clients: how exact they are, whether clients stay, and how soon all are back.

10,000 clients with a cookie of their own come at each step of a release, then as many addresses.
Nobody who was led to the new slot may be led away as its share grows. Then releases that have half
of the clients are cancelled while 200 requests a second come, each of a client of its own: from the
moment at which it is asked for until the last answer of the new slot.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.figures import Figure, median
from tests.bench.hosts import EXECUTED, TRIVIAL, write_trivial_apps
from tests.stack import Stack, stack
from tests.waiting import eventually
from tests.watching.visitors import Visitors

CLIENTS = 10_000
STEPS = (5, 25, 50)
TOLERANCE = 3.0  # points
ROUNDS = 9  # of releases that are cancelled
RATE = 200.0  # requests a second
PIPELINED = 200  # requests on a connection
PATIENCE = 60.0  # seconds
_APP = f"/v1/apps/{TRIVIAL}"
_NEW = re.compile(rb'"version": "v2"')
_COOKIE = re.compile(rb"bluegreen_share=[^;]+")
_ANSWER = re.compile(rb"(?=HTTP/1\.1 )")


@dataclass(frozen=True)
class _Share:
    percent: int
    measured: float  # percent
    left: int  # clients that were on the new slot before, and are not any more


def _request(cookie: bytes = b"", *, last: bool = False) -> bytes:
    lines = [b"GET / HTTP/1.1", b"Host: shop"]
    lines += [b"Cookie: " + cookie] if cookie else []
    lines += [b"Connection: close"] if last else []
    return b"\r\n".join([*lines, b"", b""])


async def _pipelined(port: int, cookies: Sequence[bytes]) -> list[bytes]:
    """The answer to each, with its head."""
    found: list[bytes] = []
    for start in range(0, len(cookies), PIPELINED):
        some = cookies[start : start + PIPELINED]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        requests = [_request(one) for one in some[:-1]] + [_request(some[-1], last=True)]
        writer.write(b"".join(requests))
        async with asyncio.timeout(PATIENCE):
            found += _ANSWER.split(await reader.read(-1))[1:]
        writer.close()
    assert len(found) == len(cookies)
    return found


class _ByCookie:
    """Clients that come without one, and then with what they were given."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies = [b""] * CLIENTS

    async def __call__(self) -> list[bool]:
        answers = await _pipelined(self._port, self._cookies)
        if not self._cookies[0]:
            given = [_COOKIE.search(one) for one in answers]
            self._cookies = [one[0] for one in given if one is not None]
            assert len(self._cookies) == CLIENTS
        return [_NEW.search(one) is not None for one in answers]


class _ByAddress:
    """An address each."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __call__(self) -> list[bool]:
        return await asyncio.to_thread(self._look)

    def _look(self) -> list[bool]:
        found = []
        for number in range(1, CLIENTS + 1):
            source = f"127.9.{number // 256}.{number % 256}"
            with socket.create_connection(
                ("127.0.0.1", self._port), PATIENCE, source_address=(source, 0)
            ) as connection:
                connection.sendall(_request(last=True))
                answer = b""
                while chunk := connection.recv(4096):
                    answer += chunk
            found.append(_NEW.search(answer) is not None)
        return found


async def _ask(built: Stack, what: str, **body: Any) -> Any:
    status, document = await built.ask("POST", f"{_APP}/{what}", body)
    assert status < 300, document
    return document


async def _until_share(built: Stack, percent: int) -> None:
    async def has_it() -> bool:
        share = (await built.ask("GET", _APP))[1]["share"]
        return share is not None and share["percent"] == percent

    await eventually(has_it, f"{percent} % of the clients go there", within=PATIENCE)


async def _cancel(built: Stack, operation: int) -> None:
    await _ask(built, "cancel")

    async def has_ended() -> bool:
        return (await built.ask("GET", f"/v1/operations/{operation}"))[1]["finished_at"] is not None

    await eventually(has_ended, "the release is taken back", within=PATIENCE)


async def _configure(built: Stack, **promote: object) -> None:
    """Have the app's releases take such steps."""
    path = built.layout.app_files / f"{TRIVIAL}.toml"
    text = path.read_text().partition("\n[promote]\n")[0]
    lines = "".join(f"{key} = {value}\n" for key, value in promote.items())
    path.write_text(f"{text}\n[promote]\n{lines}")
    await built.reload()


async def _shares(built: Stack, clients: Callable[[], Awaitable[list[bool]]]) -> list[_Share]:
    """Of one release, at each of its steps."""
    operation = (await _ask(built, "deployments", version="v2"))["id"]
    found: list[_Share] = []
    before = [False] * CLIENTS
    for percent in STEPS:
        await _until_share(built, percent)
        now = await clients()
        still = (await built.ask("GET", _APP))[1]["share"]
        assert still["percent"] == percent, "the step was over before all clients had come"
        left = sum(was and not is_ for was, is_ in zip(before, now, strict=True))
        found.append(_Share(percent, 100 * sum(now) / CLIENTS, left))
        before = now
    await _cancel(built, operation)
    return found


async def _times_to_be_back(built: Stack) -> tuple[list[float], int]:
    """Seconds of each release that is cancelled, and how many requests failed of all of them."""
    times, failed = [], 0
    for _ in range(ROUNDS):
        operation = (await _ask(built, "deployments", version="v2"))["id"]
        await _until_share(built, 50)
        load = Visitors(built.listen[TRIVIAL], RATE)
        async with load.coming():
            await eventually(lambda load=load: len(load.met) >= RATE, "visitors come")
            began = time.monotonic()
            await _cancel(built, operation)
        new = [one.at for one in load.met if one.version == "v2"]
        assert load.met[-1].version == "v1"
        times.append(max(0.0, max(new) - began))
        failed += len(load.failed())
    return times, failed


async def measure() -> list[Figure]:
    async with stack() as built:
        write_trivial_apps(built, 1)
        await built.serve(prefix=EXECUTED)
        await built.deploy("v1", TRIVIAL)
        port, steps = built.listen[TRIVIAL], list(STEPS)
        await _configure(built, steps=steps, pause='"20s"')
        by_cookie = await _shares(built, _ByCookie(port))
        await _configure(built, steps=steps, pause='"30s"', sticky='"address"')
        by_address = await _shares(built, _ByAddress(port))
        await _configure(built, steps=[50], pause='"10m"')
        times, failed = await _times_to_be_back(built)
    return [
        *_of_shares("cookie", by_cookie),
        *_of_shares("address", by_address),
        Figure(
            name=f"cancelled to the last answer of the new slot, median of {ROUNDS}",
            value=1e3 * median(times), unit="ms", goal=100.0,
        ),
        Figure(name="the slowest of them", value=1e3 * max(times), unit="ms"),
        Figure(name="requests that failed meanwhile", value=failed, unit="requests", goal=0),
    ]  # fmt: skip


def _of_shares(sticky: str, shares: Sequence[_Share]) -> list[Figure]:
    each = [
        Figure(
            name=f"by {sticky}, {one.percent} %: away from it, of {CLIENTS:,} clients",
            value=abs(one.measured - one.percent), unit="points", goal=TOLERANCE,
        )
        for one in shares
    ]  # fmt: skip
    stay = Figure(
        name=f"by {sticky}, clients that were led away",
        value=sum(one.left for one in shares), unit="clients", goal=0,
    )  # fmt: skip
    return [*each, stay]
