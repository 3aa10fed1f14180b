"""The asynchronous client against a real daemon, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluegreen.api.routes import ROUTES
from bluegreen.client import Client, DaemonUnreachableError, RefusalError
from tests.api.conftest import deployed
from tests.stack import Stack

__all__ = ["deployed"]


def test_it_has_a_method_for_every_route() -> None:
    senders = {"receive"}  # what is signed is not asked for
    names = {route.name.removesuffix("_of_app") for route in ROUTES} - senders
    assert {name for name in names if not callable(getattr(Client, name, None))} == set()


def test_what_the_quickest_command_shares_of_it_imports_no_http() -> None:
    code = (
        "import sys, bluegreen.cli.client, bluegreen.client.events;"
        "print({'aiohttp', 'asyncio', 'typing'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_root_or_a_url_is_named() -> None:
    for wrong in ({}, {"root": "/", "url": "http://127.0.0.1"}):
        with pytest.raises(ValueError, match="either a root or a url"):
            Client(**wrong)  # type: ignore[arg-type]


async def test_it_does_what_is_asked_and_sees_it_through(deployed: Stack) -> None:
    async with Client(root=deployed.root) as client:
        assert (await client.health())["status"] == "ok"
        operation = await client.deploy("-", "v2", key="one")
        assert (await client.deploy("-", "v2", key="one"))["id"] == operation["id"]
        with pytest.raises(RefusalError) as refusal:
            await client.deploy("monitor", "v1")
        error = refusal.value
        assert (error.status, error.kind, error.exit_status) == (409, "busy", 4)
        assert f"bluegreen logs monitor {operation['id']}" in error.remedy

        # The daemon goes away in the middle; what follows the operation does not notice.
        following = asyncio.create_task(client.outcome(operation["id"]), name="outcome")
        await asyncio.sleep(0)
        await deployed.kill()
        await deployed.serve()
        ended = await asyncio.wait_for(following, 60)
        assert ended["finished_at"] is not None

        again = await client.outcome((await client.deploy("monitor", "v2"))["id"])
        assert again["state"] == "succeeded"
        events = [name async for name, _ in client.events(again["id"])]
        assert events[-1] == "end"
        assert (await client.switch("monitor"))["version"] == "v1"
        numbers = [one["id"] async for one in client.history("monitor")]
        assert numbers == sorted(numbers, reverse=True)
        lines = [line async for line in client.logs("monitor", lines=5)]
        assert all(line["source"].endswith("api") for line in lines)
        await client.lock("monitor", "audit")
        assert (await client.app("monitor"))["lock"] is not None
        await client.unlock("monitor")
    with pytest.raises(RuntimeError, match="async with"):
        await client.health()


@contextlib.asynccontextmanager
async def answering(path: Path, answers: list[bytes | None]) -> AsyncIterator[list[bytes]]:
    """A server on a socket; of each request it is given the answer to. None: it hangs up."""
    seen: list[bytes] = []
    ended: list[asyncio.Event] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.Event())
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if (said := answers.pop(0)) is not None:
            writer.write(said)
            await writer.drain()
            if not said:
                await reader.read()  # and nothing comes back
        writer.close()
        await writer.wait_closed()
        ended[len(seen) - 1].set()

    path.parent.mkdir(parents=True)
    server = await asyncio.start_unix_server(answer, path)
    try:
        yield seen
    finally:
        server.close()
        await asyncio.gather(*(one.wait() for one in ended))


def key_of(head: bytes) -> bytes:
    (line,) = [line for line in head.split(b"\r\n") if line.lower().startswith(b"idempotency-key")]
    return line


OK = b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{"app": 1}'


async def test_a_change_whose_answer_is_lost_is_asked_for_again_by_its_key(tmp_path: Path) -> None:
    path = tmp_path / "run/bluegreen/control.sock"
    async with answering(path, [None, OK]) as seen, Client(root=tmp_path) as client:
        assert dict(await client.unlock("shop")) == {"app": 1}
    assert len(seen) == 2
    assert key_of(seen[0]) == key_of(seen[1])


async def test_a_daemon_that_does_not_answer_is_waited_for_no_longer_than_was_said(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run/bluegreen/control.sock"
    async with answering(path, [b""]), Client(root=tmp_path, look_limit=0.2) as client:
        with pytest.raises(DaemonUnreachableError, match=r"has not answered within 0\.2 s"):
            await client.health()


async def test_a_line_of_a_log_may_be_long(tmp_path: Path) -> None:
    path, long = tmp_path / "run/bluegreen/control.sock", "x" * (3 * 2**20)
    lines = "".join(f'{{"source": "web", "line": "{line}"}}\n' for line in (long, "", "ü"))
    answer = f"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{lines}".encode()
    async with answering(path, [answer]), Client(root=tmp_path) as client:
        assert [one["line"] async for one in client.logs("shop")] == [long, "", "ü"]


async def test_without_a_daemon_it_says_so_at_once(tmp_path: Path) -> None:
    async with Client(root=tmp_path) as client:
        with pytest.raises(DaemonUnreachableError, match="no daemon answers on"):
            await client.health()


async def test_what_is_no_bluegreen_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "run/bluegreen/control.sock"
    strange = b"HTTP/1.1 502 Bad\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    async with answering(path, [strange]), Client(root=tmp_path) as client:
        with pytest.raises(RefusalError, match="answered 502, and not as bluegreen does: hello"):
            await client.health()
