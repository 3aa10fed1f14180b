"""The load against real servers on loopback: honest ones, and ones that let visitors down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bluegreen.demo.load import Load, LoadError
from bluegreen.demo.load import main as load_main
from bluegreen.demo.load_settings import LoadSettings
from bluegreen.demo.report import Client, FailureKind, Report, Snapshot
from bluegreen.errors import UsageError
from tests.demo.site import Site, posts, small
from tests.waiting import PATIENCE, eventually

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(handler: Handler) -> AsyncIterator[str]:
    """A server that speaks whatever ``handler`` writes, then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def request_of(reader: asyncio.StreamReader) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(len('{"from":"load"}'))


def answer(
    body: str = '{"slot":"blue","version":"v1"}', *, more: str = "", length: int = 0
) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length or len(body)}\r\n{more}\r\n"
    return (head + body).encode()


async def until(load: Load, condition: Callable[[Snapshot], bool], what: str) -> None:
    await eventually(lambda: condition(load.snapshot()), what)


async def rest(load: Load) -> None:
    """Until requests come that are counted apart from those before."""
    now = load.snapshot()
    later = now.at + 2 * load.report().bucket
    await until(
        load, lambda seen: seen.at > later and seen.requests > now.requests, "some time has passed"
    )


async def failures_at(url: str, count: int = 1) -> Report:
    """What one connection reports once it was let down ``count`` times."""
    async with Load(posts(url)) as load:
        await until(load, lambda now: now.failures >= count, f"{count} failures")
        return await load.stop()


async def test_an_honest_site_lets_nobody_down(site: tuple[Site, str]) -> None:
    async with Load(small(site[1])) as load:
        await load.ready()
        await until(
            load, lambda now: now.requests > 200 and now.messages > 20, "200 requests, 20 messages"
        )
        report = await load.stop()
    assert report.failures == ()
    assert report.failed == 0
    assert report.connections_opened == 4
    assert report.websockets_opened == 3
    assert report.downloads_done >= 2
    assert sum(each.total for each in report.series) == report.requests > 200
    assert 0 < report.latency.median <= report.latency.p99 <= report.latency.slowest


async def test_requests_are_counted_by_slot_and_version_over_time(site: tuple[Site, str]) -> None:
    server, url = site
    async with Load(posts(url, 2)) as load:
        await until(load, lambda now: now.latest == ("blue", "v1"), "v1 is visited")
        await rest(load)
        server.slot, server.version = "green", "v2"
        await until(load, lambda now: now.latest == ("green", "v2"), "v2 is visited")
        await rest(load)
        report = await load.stop()
    blue, green = report.series
    assert (blue.slot, blue.version, green.slot, green.version) == ("blue", "v1", "green", "v2")
    assert len(blue.counts) == len(green.counts) == int(report.seconds / report.bucket) + 1
    of_blue, of_green = (
        [place for place, count in enumerate(each.counts) if count] for each in (blue, green)
    )
    assert of_blue[0] < of_green[0]
    assert of_blue[-1] < of_green[-1]


async def test_host_headers_are_dealt_out_among_the_visitors(site: tuple[Site, str]) -> None:
    server, url = site
    settings = replace(posts(url, 3), hosts=("a.example", "b.example"))
    async with Load(settings) as load:
        await load.ready()
    assert server.hosts == {"a.example", "b.example"}


async def test_a_websocket_closed_by_the_server_counts_as_cut(site: tuple[Site, str]) -> None:
    server, url = site
    settings = replace(small(url), connections=0, downloads=0)
    async with Load(settings) as load:
        await load.ready()
        await next(iter(server.sockets)).close(code=1001)
        await until(
            load,
            lambda now: now.websockets_cut == 1 and now.websockets_open == 3,
            "one WebSocket was cut, and opened again",
        )
        report = await load.stop()
    assert (report.websockets_cut, report.websockets_opened) == (1, 4)
    assert report.failures[0].kind is FailureKind.CUT
    assert "1001" in report.failures[0].reason


async def test_a_websocket_that_falls_silent_counts_as_cut(site: tuple[Site, str]) -> None:
    server, url = site
    settings = replace(small(url), connections=0, downloads=0, websockets=1, timeout=0.2)
    async with Load(settings) as load:
        await load.ready()
        server.echoes = False
        await until(load, lambda now: now.websockets_cut >= 1, "one WebSocket was cut")
        report = await load.stop()
    assert report.failures[0].kind is FailureKind.TIMEOUT


async def test_a_refused_websocket_is_a_failure_but_not_cut(site: tuple[Site, str]) -> None:
    settings = replace(small(site[1]), connections=0, downloads=0, websocket_path="/nothing")
    async with Load(settings) as load:
        await until(load, lambda now: now.failures > 0, "a failure")
        report = await load.stop()
    assert report.failed > 0
    assert report.websockets_cut == 0
    assert report.failures[0].kind is FailureKind.CONNECT


async def test_a_download_with_a_byte_missing_is_broken(site: tuple[Site, str]) -> None:
    server, url = site
    server.missing_bytes = 1
    async with Load(replace(small(url), connections=0, websockets=0)) as load:
        await until(load, lambda now: now.downloads_broken > 0, "a broken download")
        report = await load.stop()
    assert report.downloads_done == 0
    assert report.failures[0].client is Client.DOWNLOAD
    assert report.failures[0].reason == "25499 bytes arrived of 25500"


async def test_a_download_that_stops_halfway_is_broken_and_one_being_ended_is_not() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"x" * 1000)
        await reader.read()

    async with raw_server(half) as url:
        settings = LoadSettings(url=url, connections=0, websockets=0, downloads=1, timeout=0.1)
        async with Load(settings) as load:
            await until(load, lambda now: now.downloads_broken >= 1, "a broken download")
        async with Load(replace(settings, timeout=60.0)) as load:
            report = await load.stop()
    assert report.failed == 0


async def test_a_kept_connection_closed_between_two_requests_is_a_failure() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer())

    async with raw_server(once) as url:
        settings = replace(posts(url), think=0.05)
        async with Load(settings) as load:
            await until(
                load,
                lambda now: now.failures >= 2 and now.requests >= 2,
                "two failures, two requests",
            )
            report = await load.stop()
    assert report.failures[0].kind is FailureKind.CLOSED_IDLE
    assert report.connections_opened >= 2


async def test_a_connection_closed_as_announced_is_none() -> None:
    async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer(more="Connection: close\r\n"))

    async with raw_server(polite) as url:
        settings = posts(url)
        async with Load(settings) as load:
            await until(load, lambda now: now.requests >= 5, "five requests")
            report = await load.stop()
    assert report.failed == 0
    assert report.connections_opened >= 5


async def test_a_request_that_is_never_answered_is_a_failure_and_is_not_sent_again() -> None:
    received = 0

    async def close_on_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await request_of(reader)
        received += 1

    async with raw_server(close_on_request) as url:
        report = await failures_at(url, 3)
    assert report.failures[0].kind is FailureKind.CLOSED
    assert report.failed_requests == received


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (answer(length=500), FailureKind.SHORT),
        (b"HTTP/1.1 200 OK\r\nContent-Le", FailureKind.SHORT),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", FailureKind.SHORT),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", FailureKind.STATUS),
        (answer("<h1>sorry</h1>"), FailureKind.ANSWER),
        (answer("[1, 2]"), FailureKind.ANSWER),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", FailureKind.ANSWER),
    ],
)
async def test_a_bad_answer_is_a_failure(sent: bytes, kind: FailureKind) -> None:
    async def bad(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(sent)

    async with raw_server(bad) as url:
        report = await failures_at(url)
    assert report.failures[0].kind is kind
    assert report.requests == 0


async def test_no_answer_in_time_is_a_failure() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(mute) as url, Load(replace(posts(url), timeout=0.05)) as load:
        # Not always the first: it may have taken as long to connect.
        await eventually(
            lambda: FailureKind.TIMEOUT in [one.kind for one in load.report().failures],
            "one that was connected has waited in vain",
        )


async def test_no_connection_is_a_failure_and_not_being_ready_says_why(
    free_ports: Callable[[int], list[int]],
) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    async with Load(posts(url)) as load:
        with pytest.raises(LoadError) as caught:
            await load.ready(timeout=0.3)
        report = await load.stop()
    assert "cannot connect" in caught.value.detail[0]
    assert report.failures[0].kind is FailureKind.CONNECT


async def test_answers_in_chunks_are_read_whole() -> None:
    async def chunked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_of(reader)
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head + b'f\r\n{"slot":"green"\r\n10;x=1\r\n,"version":"v2"}\r\n0\r\n\r\n')

    async with raw_server(chunked) as url:
        settings = posts(url)
        async with Load(settings) as load:
            await until(load, lambda now: now.requests > 3, "four requests")
            report = await load.stop()
    assert report.failed == 0
    assert report.series[0].version == "v2"


async def test_stopping_waits_for_the_answer_that_is_on_its_way() -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        arrived.set()
        await release.wait()
        writer.write(answer())

    async with raw_server(slow) as url, Load(posts(url)) as load:
        await asyncio.wait_for(arrived.wait(), PATIENCE)
        stopping = asyncio.create_task(load.stop(), name="stop")
        await asyncio.sleep(0)
        release.set()
        report = await stopping
    assert (report.requests, report.failed) == (1, 0)


def test_an_address_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):
        LoadSettings(url="ftp://127.0.0.1")
    assert load_main(["--url", "nowhere"]) == 2
    assert "'nowhere'" in capsys.readouterr().err


async def test_a_report_survives_being_written_as_json(site: tuple[Site, str]) -> None:
    settings = replace(small(site[1]), websocket_path="/nothing")
    async with Load(settings) as load:
        await until(
            load, lambda now: now.failures > 0 and now.requests > 0, "a failure and a request"
        )
        report = await load.stop()
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report
