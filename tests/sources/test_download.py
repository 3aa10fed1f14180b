"""Downloads from real servers that are slow, cut off, lie, or lead elsewhere."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ThreadedResolver
from aiohttp import web as server_web

from bluegreen.sources.download import ATTEMPTS, Download, Downloaded, NoRoomError
from bluegreen.sources.tokens import WebToken, origin
from bluegreen.sources.web import Kind, Limits, Reach, Web, WebError
from tests.sources.archive_server import ArchiveServer, ConnectProxy

CONTENT = os.urandom(300_000)
LIMITS = Limits(connect=20.0, stall=20.0, pause=0.01)
IMPATIENT = replace(LIMITS, stall=0.3)  # with what is silent for ever
PRIVATE = Reach(private=True)


@pytest.fixture
async def web(certificate: Path) -> AsyncIterator[Web]:
    async with Web(PRIVATE, LIMITS) as made:
        yield made


async def fetched(
    server: ArchiveServer, tmp_path: Path, *, reach: Reach = PRIVATE, most: int = 2**20,
    path: str = "/a", limits: Limits = LIMITS,
) -> Downloaded:  # fmt: skip
    async with Web(reach, limits) as web:
        found = await Download(web, f"{server.url}{path}", tmp_path / "f", most_bytes=most).run()
    assert found is not None
    return found


async def test_what_is_there_is_written_and_hashed(server: ArchiveServer, tmp_path: Path) -> None:
    server.files["/a"] = CONTENT
    found = await fetched(server, tmp_path)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert (found.size, found.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert oct((tmp_path / "f").stat().st_mode)[-3:] == "600"


async def test_what_is_known_is_not_sent_again(
    server: ArchiveServer, web: Web, tmp_path: Path
) -> None:
    server.files["/a"] = CONTENT
    etag = (await fetched(server, tmp_path)).etag
    url = f"{server.url}/a"
    assert await Download(web, url, tmp_path / "g", most_bytes=2**20).run(unless=etag) is None


async def test_a_connection_that_is_cut_is_taken_up_where_it_was(
    server: ArchiveServer, tmp_path: Path
) -> None:
    content = os.urandom(4 * 2**20)
    server.handlers["/a"] = server.cut_off(content, 2 * 2**20, 2**20)
    found = await fetched(server, tmp_path, most=len(content))
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "f").read_bytes() == content
    # What was on its way as the connection was cut is asked for again.
    starts = [int((r[2] or "bytes=0-")[6:-1]) for r in server.requests]
    assert starts[0] == 0 < starts[1] <= 2 * 2**20
    assert starts[1] < starts[2] <= 3 * 2**20
    assert len(starts) == 3


async def test_without_an_etag_all_of_it_is_fetched_again(
    server: ArchiveServer, tmp_path: Path
) -> None:
    server.handlers["/a"] = server.cut_off(CONTENT, 100_000, etag=None)
    await fetched(server, tmp_path)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert [r[2] for r in server.requests] == [None, None]


async def test_what_changes_between_two_attempts_is_not_mixed(
    server: ArchiveServer, tmp_path: Path
) -> None:
    first = server.cut_off(b"x" * 300_000, 100_000, etag='"old"')
    server.files["/a"] = CONTENT

    async def once(request: object) -> object:
        del server.handlers["/a"]
        return await first(request)  # type: ignore[arg-type]

    server.handlers["/a"] = once  # type: ignore[assignment]
    await fetched(server, tmp_path)
    assert (tmp_path / "f").read_bytes() == CONTENT


async def test_a_server_that_always_breaks_off_is_given_up(
    server: ArchiveServer, tmp_path: Path
) -> None:
    server.handlers["/a"] = server.cut_off(CONTENT, *[10] * 99)
    with pytest.raises(WebError) as refused:
        await fetched(server, tmp_path)
    assert refused.value.kind is Kind.UNREACHABLE
    assert len(server.requests) == ATTEMPTS


async def test_a_server_that_stalls_is_given_up(server: ArchiveServer, tmp_path: Path) -> None:
    server.handlers["/a"] = server.stalled(CONTENT)
    with pytest.raises(WebError, match="in time"):
        await fetched(server, tmp_path, limits=IMPATIENT)


async def test_more_than_is_allowed_is_refused_whatever_is_said_of_its_size(
    server: ArchiveServer, tmp_path: Path
) -> None:
    server.files["/a"] = CONTENT
    with pytest.raises(WebError, match="larger than max_size"):
        await fetched(server, tmp_path, most=1000)
    assert (tmp_path / "f").stat().st_size == 0

    async def unsaid(request: object) -> object:
        response = server_web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)  # type: ignore[arg-type]
        for _ in range(1000):
            await response.write(CONTENT[:1000])
        return response

    server.handlers["/a"] = unsaid  # type: ignore[assignment]
    (tmp_path / "f").unlink()
    with pytest.raises(WebError, match="larger than max_size"):
        await fetched(server, tmp_path, most=10_000)


async def test_what_has_no_room_is_not_begun(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluegreen.sources.download.free_bytes", lambda _: 1000)
    server.files["/a"] = CONTENT
    with pytest.raises(NoRoomError):
        await fetched(server, tmp_path)
    assert (tmp_path / "f").stat().st_size == 0


@pytest.mark.parametrize(
    ("status", "kind", "attempts"),
    [(404, Kind.MISSING, 1), (410, Kind.MISSING, 1), (403, Kind.UNREACHABLE, 1),
     (503, Kind.UNREACHABLE, 2), (206, Kind.UNREACHABLE, 2)],
)  # fmt: skip
async def test_answers_that_are_errors(
    server: ArchiveServer, tmp_path: Path, status: int, kind: Kind, attempts: int
) -> None:
    server.handlers["/a"] = server.status(status)
    with pytest.raises(WebError) as refused:
        await fetched(server, tmp_path)
    assert refused.value.kind is kind
    assert len(server.requests) == attempts


async def test_redirects_to_the_same_host_are_followed(
    server: ArchiveServer, tmp_path: Path
) -> None:
    server.handlers["/a"] = server.redirect("b?token=1")
    server.handlers["/b"] = server.redirect(f"{server.url}/c%20d")
    server.files["/c d"] = CONTENT
    assert (await fetched(server, tmp_path)).size == len(CONTENT)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("a", "more than 5 redirects"),
        ("https://elsewhere.example/?token=s3cret", "another host"),
        ("http://127.0.0.1/", "away from https"),
        ("file:///etc/passwd", "to nowhere|away from https"),
        ("https://me:s3cret@127.0.0.1/", "to nowhere"),
        ("https://[broken/", "to nowhere"),
        ("", "to nowhere"),
    ],
)
async def test_other_redirects_are_refused(
    server: ArchiveServer, tmp_path: Path, location: str, why: str
) -> None:
    server.handlers["/a"] = server.redirect(location)
    with pytest.raises(WebError, match=why) as refused:
        await fetched(server, tmp_path)
    assert refused.value.kind is Kind.REFUSED
    assert "s3cret" not in str(refused.value)


async def test_redirects_to_hosts_that_are_allowed_are_followed(
    server: ArchiveServer, tmp_path: Path
) -> None:
    server.handlers["/a"] = server.redirect(server.url.replace("127.0.0.1", "localhost") + "/b")
    server.files["/b"] = CONTENT
    with pytest.raises(WebError, match="another host, localhost"):
        await fetched(server, tmp_path)
    (tmp_path / "f").unlink()
    reach = Reach(private=True, hosts=("local*",))
    assert (await fetched(server, tmp_path, reach=reach)).size == len(CONTENT)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::1]"])
async def test_private_addresses_are_refused_however_they_are_written(
    server: ArchiveServer, tmp_path: Path, host: str
) -> None:
    server.files["/a"] = CONTENT
    server.url = server.url.replace("127.0.0.1", host)
    with pytest.raises(WebError, match=r"public address|not a canonical") as refused:
        await fetched(server, tmp_path, reach=Reach())
    assert refused.value.kind is Kind.REFUSED
    assert server.requests == []


async def test_a_name_that_turns_into_a_private_address_is_refused_as_it_is_connected_to(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rebound(
        self: object, host: str, port: int = 0, family: int = 0
    ) -> list[dict[str, object]]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0,
                 "flags": 0}]  # fmt: skip

    monkeypatch.setattr(ThreadedResolver, "resolve", rebound)
    server.url = server.url.replace("127.0.0.1", "releases.example")
    with pytest.raises(WebError, match=r"127\.0\.0\.1, which is not a public address"):
        await fetched(server, tmp_path, reach=Reach())
    assert server.requests == []


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    monkeypatch.setenv("SSL_CERT_DIR", os.devnull)
    with pytest.raises(WebError, match="certificate is not valid"):
        await fetched(server, tmp_path)
    assert server.requests == []


async def test_http_needs_leave(tmp_path: Path) -> None:
    async with ArchiveServer().serve() as plain:
        plain.files["/a"] = CONTENT
        with pytest.raises(WebError, match="is not https"):
            await fetched(plain, tmp_path, reach=Reach())
        (tmp_path / "f").unlink()
        assert (await fetched(plain, tmp_path)).size == len(CONTENT)


async def test_the_proxy_of_the_environment_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ArchiveServer().serve() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "never.example")
        proxy.files["/a"] = CONTENT
        async with Web(PRIVATE, LIMITS) as web:
            url = "http://releases.example/a"
            found = await Download(web, url, tmp_path / "f", most_bytes=2**20).run()
            assert found is not None
            with pytest.raises(WebError):
                await web.text("http://never.example/a", most_bytes=9)
    assert len(proxy.requests) == 1


async def test_a_proxy_is_asked_for_https_and_its_password_is_not_repeated(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/a"] = CONTENT
    server.url = server.url.replace("127.0.0.1", "localhost")
    token = WebToken(value="t0ken", origins=frozenset({origin(server.url)}))
    async with ConnectProxy().serve() as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:s3cret@{proxy.address}")
        monkeypatch.delenv("no_proxy", raising=False)
        async with Web(Reach(), LIMITS, token) as web:
            found = await Download(web, f"{server.url}/a", tmp_path / "f", most_bytes=2**20).run()
        assert found is not None
        [head] = proxy.heads
        assert head.startswith(f"CONNECT {server.url.removeprefix('https://')} ")
        assert "Proxy-Authorization: Basic " in head  # and what is for the server goes by TLS
        assert "t0ken" not in head
        proxy.refuses = 407
        async with Web(Reach(), LIMITS, token) as web:
            with pytest.raises(WebError, match="the proxy answers 407") as refused:
                await web.text(f"{server.url}/a", most_bytes=9)
        assert "HTTPS_PROXY" in refused.value.remedy
        assert "s3cret" not in str(refused.value)


async def test_a_text_that_is_too_long_is_refused(server: ArchiveServer, web: Web) -> None:
    server.files["/a"] = CONTENT
    with pytest.raises(WebError, match="larger than"):
        await web.text(f"{server.url}/a", most_bytes=1000)
