"""Services through Apprise itself, each message in a process of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
from aiohttp import web

from bluegreen.config.notify_section import Notify
from bluegreen.notifications.answer import Outcome
from bluegreen.notifications.apprise_sender import AppriseSender
from bluegreen.notifications.hiding import hide, parts_of
from bluegreen.notifications.message import test_message as trial
from tests.notifications.listening import Host, Listener
from tests.waiting import eventually

PASSWORD = "T0PSECRETW0RD"


def apprise_url(listener: Listener) -> str:
    return f"json://bot:{PASSWORD}@{listener.url.removeprefix('http://')}/{PASSWORD}"


async def test_a_service_is_told_and_its_url_is_in_no_process_and_no_file(
    host: Host, listener: Listener
) -> None:
    """One that fails first, and is told again."""
    seen: list[str] = []

    async def look(request: web.Request) -> web.Response:
        running = psutil.process_iter(["cmdline"])
        seen.extend(" ".join(process.info["cmdline"] or []) for process in running)
        return web.Response(status=500, text=f"no {PASSWORD} here")

    listener.answers = [look]
    await host.tell({"url": host.secret(apprise_url(listener), "url")})
    await host.happen()
    await eventually(lambda: len(listener.asked) == 2, "it is told again")
    assert any("apprise_worker" in line for line in seen)
    assert not any(PASSWORD in line for line in seen)
    document = listener.asked[1].document
    assert document["title"] == "shop: deploy v2 FAILED"
    assert "it broke" in document["message"]
    assert document["type"] == "failure"
    view = await host.overview()
    assert "500" in view["last_error"]
    assert PASSWORD not in str(view)
    stored = b"".join(file.read_bytes() for file in host.root.glob("bluegreen.db*"))
    assert PASSWORD.encode() not in stored


async def test_what_hangs_is_ended(listener: Listener) -> None:
    arrived = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        arrived.set()
        await asyncio.sleep(3600)
        return web.Response()

    listener.usual = hang
    settings = Notify(url=apprise_url(listener))
    turns = asyncio.Semaphore(1)
    answer = await AppriseSender(settings, turns, limit=0.01).send(trial(0.0), "m")
    assert answer.outcome is Outcome.FAILED
    assert "longer than 0.01 s" in answer.said
    sending = asyncio.create_task(AppriseSender(settings, turns).send(trial(0.0), "m"))
    await eventually(arrived.is_set, "it was asked")
    listener.usual = 200
    answer = await AppriseSender(settings, turns).send(trial(0.0), "m")
    assert answer.outcome is Outcome.ACCEPTED, answer.said
    assert not sending.done(), "nobody has waited for that one"
    [worker] = [one for one in psutil.Process().children() if "apprise_worker" in _words(one)]
    sending.cancel()
    await asyncio.wait([sending])
    assert not worker.is_running()
    assert not turns.locked()


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


async def test_what_apprise_does_not_know_is_said(tmp_path: Path) -> None:
    settings = Notify(url=f"nosuchservice://{PASSWORD}")
    answer = await AppriseSender(settings, asyncio.Semaphore(1)).send(trial(0.0), "m")
    assert (answer.outcome, answer.said) == (
        Outcome.FAILED, "Apprise does not know what its url means",
    )  # fmt: skip


def test_nothing_of_a_url_is_repeated() -> None:
    url = "slack://TokenA/TokenB%2Fx/TokenC@chat.example.org/#general?key=abcdefg"
    said = "slack refused tokena and TokenB/x of abcdefg"
    assert hide(said, parts_of(url)) == "slack refused *** and *** of ***"
