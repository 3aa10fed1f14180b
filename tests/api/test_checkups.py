"""How often a status asks an app how it is."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.operations.asking import ask
from tests.ports import kernel_ports
from tests.stack import PYTHON, Stack, stack
from tests.waiting import eventually

SERVER = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(os.environ["ASKED"], "a") as asked:
            asked.write("x")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
async def counting() -> AsyncIterator[Stack]:
    """An app that counts what it is asked, deployed; so does its command probe."""
    async with stack() as built:
        release = built.root / "releases" / "v1"
        release.mkdir(parents=True)
        (release / "server.py").write_text(SERVER)
        site, blue, green = kernel_ports(3)
        run = f"/bin/sh -c 'echo ran >> {built.root}/commands'"
        text = f"""
[app]
name = "shop"
[source]
directory = "{built.root}/releases/{{version}}"
[services.web]
command = {json.dumps(f"{shlex.quote(PYTHON)} server.py")}
ports = {{ blue = {blue}, green = {green} }}
env = {{ ASKED = "{built.root}/asked" }}
[[routes]]
path = "/"
service = "web"
[nginx]
listen = ["127.0.0.1:{site}"]
[gate]
deadline = "15s"
healthy_for = "0.1s"
[[gate.probes]]
service = "web"
http = {{ path = "/health" }}
[[gate.probes]]
service = "web"
command = {{ run = {json.dumps(run)} }}
[watch]
for = "0.1s"
"""
        built.layout.app_files.mkdir(parents=True)
        (built.layout.app_files / "shop.toml").write_text(text)
        await built.serve()
        await built.deploy("v1", "shop")
        yield built


def counts(stack: Stack) -> tuple[int, int]:
    """How often the service was asked, and the command run."""
    return (
        len((stack.root / "asked").read_text()),
        len((stack.root / "commands").read_text().splitlines()),
    )


async def active_slot(stack: Stack) -> Any:
    _, document = await ask(stack, "GET", "/v1/apps/shop?probe=1")
    return document["slots"][document["active"]]


async def test_a_status_that_is_watched_asks_once_and_never_runs_commands(
    counting: Stack,
) -> None:
    asked, ran = counts(counting)
    found = await asyncio.gather(*(active_slot(counting) for _ in range(5)))
    found += [await active_slot(counting) for _ in range(5)]
    assert [slot["health"] for slot in found] == [{"healthy": True, "failing": []}] * 10
    assert counts(counting) == (asked + 1, ran)


async def test_a_process_that_was_started_since_is_asked_anew(counting: Stack) -> None:
    before = await active_slot(counting)
    asked, _ = counts(counting)
    pid = before["services"]["web"]["pid"]
    os.kill(pid, signal.SIGKILL)

    async def another() -> bool:
        now = (await active_slot(counting))["services"]["web"]["pid"]
        return now not in (None, pid)

    await eventually(another, "it was restarted")
    await active_slot(counting)
    _, document = await ask(counting, "GET", "/v1/apps/shop")
    assert document["slots"]["blue"]["health"] is None
    health = (await active_slot(counting))["health"]
    # Asked right after its start it may not listen yet; but it was asked, or refused.
    assert counts(counting)[0] == asked + 1 or not health["healthy"]
