"""What goes the short way is what aiohttp's parser would have read, and nothing else is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from bluegreen.api.short_way import Plain, plain
from bluegreen.webhooks.intake import BESIDE_THE_LOOP

HEAD = b"POST /hooks/shop HTTP/1.1\r\nHost: x\r\nX-Github-Event:\tpush \r\nContent-Length: 2\r\n"


def test_a_delivery_that_came_whole_is_read() -> None:
    assert plain(HEAD + b"Connection: Keep-Alive\r\n\r\n{}") == Plain(
        "shop",
        {"host": "x", "x-github-event": "push", "content-length": "2", "connection": "Keep-Alive"},
        b"{}",
    )  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        HEAD,
        HEAD + b"\r\n",
        HEAD + b"\r\n{",
        HEAD + b"\r\n{}P",  # of another request, perhaps
        HEAD + b"\r\n{}" + HEAD + b"\r\n{}",
        HEAD + b"Content-Length: 2\r\n\r\n{}",
        HEAD + b"host: y\r\n\r\n{}",
        HEAD + b"X-A: b\r\nx-a: b\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n{}",
        HEAD + b"transfer-encoding : chunked\r\n\r\n{}",
        HEAD + b"Content-Encoding: gzip\r\n\r\n{}",
        HEAD + b"Expect: 100-continue\r\n\r\n{}",
        HEAD + b"Upgrade: websocket\r\n\r\n{}",
        HEAD + b"Connection: close\r\n\r\n{}",
        HEAD + b" folded: line\r\n\r\n{}",
        HEAD + b"X-A: b\nX-C: d\r\n\r\n{}",
        HEAD + b"X-A: b\rX-C: d\r\n\r\n{}",
        HEAD + b"X-A: b\0\r\n\r\n{}",
        HEAD + b"X-A: \xc3\xbc\r\n\r\n{}",
        HEAD + b"X-A: " + b"b" * 5000 + b"\r\n\r\n{}",
        HEAD + b"X-A: b\r\n" * 64 + b"\r\n{}",
        HEAD.replace(b": 2", b": +2") + b"\r\n{}",
        HEAD.replace(b": 2", b": 2, 2") + b"\r\n{}",
        HEAD.replace(b": 2", b": ") + b"\r\n{}",
        HEAD.replace(b": 2", b": 0x2") + b"\r\n{}",
        HEAD.replace(b"Content-Length", b"X-Length") + b"\r\n{}",
        HEAD.replace(b"Host: x", b"Host:") + b"\r\n{}",
        HEAD.replace(b"Host: x\r\n", b"") + b"\r\n{}",
        HEAD.replace(b"1.1", b"1.0") + b"\r\n{}",
        HEAD.replace(b"POST", b"PUT") + b"\r\n{}",
        HEAD.replace(b"shop", b"shop/") + b"\r\n{}",
        HEAD.replace(b"shop", b"%73hop") + b"\r\n{}",
        HEAD.replace(b"shop", b"shop?a=b") + b"\r\n{}",
        HEAD.replace(b"/hooks", b"http://x/hooks") + b"\r\n{}",
        b"\r\n" + HEAD + b"\r\n{}",
        HEAD.replace(b": 2", b": %d" % (BESIDE_THE_LOOP + 1)) + b"\r\n" + b"x" * 65537,
    ],
    ids=repr,
)
def test_what_is_of_any_other_form_is_left_to_aiohttp(data: bytes) -> None:
    assert plain(data) is None


_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["Host", "host", "Content-Length", "Transfer-Encoding", "connection", "X-A", "x_b",
             "Upgrade", "Expect", "Content-Type", "Authorization", "Date"]
        ),
        st.sampled_from(["", "2", "chunked", "keep-alive", "x:y", "a\tb", "ü", "\r\n c", "@/"]),
        st.sampled_from(["", " ", "\t "]),
    ),
    max_size=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def idle_loop() -> Iterator[asyncio.AbstractEventLoop]:
    with contextlib.closing(asyncio.new_event_loop()) as made:
        yield made


@given(
    start=st.sampled_from(["Host: x\r\nContent-Length: 2\r\n", "Content-Length: 2\r\n", ""]),
    headers=_HEADERS,
    end=st.sampled_from(["\r\n", "\r\n", "\n"]),
    body=st.sampled_from([b"{}", b"{}", b"{}P", b"{"]),
)
@settings(max_examples=300, deadline=None)
def test_what_is_read_is_what_aiohttp_reads(
    idle_loop: asyncio.AbstractEventLoop,
    start: str,
    headers: list[tuple[str, str, str]],
    end: str,
    body: bytes,
) -> None:
    lines = "".join(f"{name}:{pad}{value}{pad}\r\n" for name, value, pad in headers)
    data = f"POST /hooks/a.b-c HTTP/1.1\r\n{start}{lines}{end}".encode() + body
    found = plain(data)
    if found is None:
        return
    parser = HttpRequestParser(BaseProtocol(idle_loop), idle_loop, 2**16)
    [(message, payload)], upgraded, rest = parser.feed_data(data)
    assert (message.method, message.path) == ("POST", f"/hooks/{found.app}")
    assert {name.lower(): value for name, value in message.headers.items()} == found.headers
    assert len(message.headers) == len(found.headers)
    assert (payload.is_eof(), payload.read_nowait()) == (True, found.body)
    assert [upgraded, rest, message.should_close, message.chunked] == [False, b"", False, False]
