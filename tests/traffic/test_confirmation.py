"""Asking nginx over its socket, and what it takes for an answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bluegreen.errors import TrafficError
from bluegreen.remedies import Remedies
from bluegreen.traffic.confirmation import Confirmation


async def test_nobody_listening_is_an_error_that_names_the_socket(root: Path) -> None:
    with pytest.raises(TrafficError, match="does not answer") as caught:
        await Confirmation(root / "nginx.sock", Remedies(root)).ask("shop")
    assert str(root) in caught.value.detail[0]


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.0 200 OK\r\n\r\nhello", b"HTTP/1.0 500 Oh\r\n\r\n{}", b"x" * 100_000, b"\0\xff"],
)
async def test_an_odd_answer_is_an_error(root: Path, answer: bytes) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(converse, root / "nginx.sock")
    async with server:
        with pytest.raises(TrafficError, match="answers oddly"):
            await Confirmation(root / "nginx.sock", Remedies(root)).ask("shop")


async def test_silence_is_an_error_after_a_while(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluegreen.traffic.confirmation.ANSWER_TIMEOUT", 0.05)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(converse, root / "nginx.sock")
    async with server:
        with pytest.raises(TrafficError, match="does not answer"):
            await Confirmation(root / "nginx.sock", Remedies(root)).ask("shop")


async def test_waiting_for_an_answer_ends_with_the_last_one(root: Path) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.0 200 OK\r\n\r\n{"app": "shop", "slot": "blue", "generation": "1"}\n')
        writer.close()

    server = await asyncio.start_unix_server(converse, root / "nginx.sock")
    async with server:
        with pytest.raises(TrafficError, match=r"within 0\.05 s: shop is green") as caught:
            await Confirmation(root / "nginx.sock", Remedies(root)).until(
                "shop", lambda answer: False, what="shop is green", timeout=0.05
            )
    assert "shop: blue, open, generation 1" in caught.value.detail[0]
