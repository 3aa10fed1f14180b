"""Shares of clients through a real nginx: as large as asked for, sticky, and over at once."""

from __future__ import annotations

import asyncio
import math
import re
import socket
from collections import Counter
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.model import Share, Slot, Traffic
from tests.traffic.backends import Backend
from tests.traffic.client import ask
from tests.traffic.conftest import World
from tests.traffic.test_switch import prepare

CLIENTS = 10_000
STEPS = [5, 25, 50]
SIGMAS = 6  # that a share may be off by: nginx deals clients out by chance
_BODY = re.compile(r"(?:blue|green)$")


def share(percent: int) -> Share:
    return Share(slot=Slot.GREEN, percent=percent)


async def opened(world: World, sticky: str, mode: str = "site") -> AppSettings:
    """The app in steps; both of its slots are servers of the nginx itself, that say their name."""
    for name, port in world.ports.items():
        world.administrator_writes(
            f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 {name}; }} }}\n",
            f"{name}.conf",
        )
    prepare(world, mode, "marker")
    settings = world.settings(mode=mode, promote={"steps": STEPS, "sticky": sticky})
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    return settings


async def pipelined(port: int, requests: Sequence[str], *, at_once: int = 200) -> list[str]:
    """The answer to each request, a kept connection for so many of them."""

    async def some(texts: Sequence[str]) -> list[str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write("".join([*texts[:-1], texts[-1].replace("\r\n\r\n", LAST)]).encode())
        async with asyncio.timeout(30):
            answers = (await reader.read(-1)).decode()
        writer.close()
        return re.split(r"(?<=blue)(?=HTTP)|(?<=green)(?=HTTP)", answers)

    found: list[str] = []
    for start in range(0, len(requests), at_once):
        found += await some(requests[start : start + at_once])
    assert len(found) == len(requests)
    return found


LAST = "\r\nConnection: close\r\n\r\n"
NEW = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"


def slots_of(answers: Sequence[str]) -> list[str]:
    return ["green" if answer.endswith("green") else "blue" for answer in answers]


def percent_of(slots: Sequence[str]) -> float:
    return 100 * Counter(slots)["green"] / len(slots)


def about(percent: int, clients: int) -> Any:
    """What so many clients, each led there with that chance, come to in all but a million times."""
    deviation = 100 * math.sqrt(percent / 100 * (1 - percent / 100) / clients)
    return pytest.approx(percent, abs=SIGMAS * deviation)


@pytest.mark.parametrize(("mode", "clients"), [("site", CLIENTS), ("snippet", 2000)])
async def test_clients_with_a_cookie_stay_where_they_are_as_a_share_grows(
    world: World, mode: str, clients: int
) -> None:
    settings = await opened(world, "cookie", mode)
    workers = {process.pid for process in world.nginx_processes()}
    untouched = await pipelined(world.site, [NEW] * 3)
    assert slots_of(untouched) == ["blue"] * 3
    assert not any("Set-Cookie" in answer for answer in untouched)

    await world.control.share(settings, share(STEPS[0]))
    assert world.control.read("shop") == Traffic(active=Slot.BLUE, closed=False)
    assert world.control.read("shop").share == share(5)
    first = await pipelined(world.site, [NEW] * clients)
    before = slots_of(first)
    assert percent_of(before) == about(STEPS[0], clients)
    cookies = [re.findall(r"Set-Cookie: (bluegreen_share=[^;]+);(.*)", one) for one in first]
    assert all(len(found) == 1 for found in cookies)
    assert "path=/; HttpOnly; SameSite=Lax" in cookies[0][0][1]
    known = [NEW.replace("\r\n\r\n", f"\r\nCookie: {f[0][0]}\r\n\r\n") for f in cookies]
    for percent in STEPS[1:]:
        await world.control.share(settings, share(percent))
        answers = await pipelined(world.site, known)
        assert not any("Set-Cookie" in answer for answer in answers)
        now = slots_of(answers)
        assert percent_of(now) == about(percent, clients)
        assert ("green", "blue") not in set(zip(before, now, strict=True))
        before = now
    await world.control.switch(settings, Slot.GREEN)
    assert {process.pid for process in world.nginx_processes()} == workers  # nothing was reloaded
    assert world.markers == {"green"}
    assert set(slots_of(await pipelined(world.site, known[:500]))) == {"green"}


async def test_addresses_stay_where_they_are_and_are_back_at_once(world: World) -> None:
    settings = await opened(world, "address")
    addresses = [f"127.{9 + n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(1, CLIENTS + 1)]

    def look(at: Sequence[str]) -> list[str]:
        found = []
        for address in at:
            with socket.create_connection(
                ("127.0.0.1", world.site), 5, source_address=(address, 0)
            ) as connection:
                connection.sendall(NEW.replace("\r\n\r\n", LAST).encode())
                answer = b""
                while chunk := connection.recv(4096):
                    answer += chunk
            assert b"Set-Cookie" not in answer
            found.append("green" if answer.endswith(b"green") else "blue")
        return found

    await world.control.share(settings, share(25))
    before = await asyncio.to_thread(look, addresses)
    assert percent_of(before) == about(25, CLIENTS)
    led = [one for one, slot in zip(addresses, before, strict=True) if slot == "green"][:500]
    await world.control.share(settings, share(50))
    assert set(await asyncio.to_thread(look, led)) == {"green"}
    assert await world.control.end_share(settings) == ()
    assert world.markers == {"blue"}
    assert set(await asyncio.to_thread(look, led)) == {"blue"}


async def test_a_websocket_stays_and_the_app_is_not_shown_the_cookie(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings(promote={"steps": STEPS})
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    url = f"http://127.0.0.1:{world.site}/ws/echo"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as old:
        await world.control.share(settings, share(99))
        async with session.ws_connect(url, headers={"Cookie": "a=b"}) as new:
            await new.send_str("x")
            assert await new.receive_str() == "green x"
            await world.control.end_share(settings)
            await new.send_str("y")
            assert await new.receive_str() == "green y"
        await old.send_str("x")
        assert await old.receive_str() == "blue x"
        await world.control.share(settings, share(1))
        cookies = "a=b; bluegreen_share=fwAAAWVrNzQ=; c=d"
        shown = await ask(world.site, "/headers", headers={"Cookie": cookies})
        assert '"cookie": "a=b; c=d"' in shown.body
