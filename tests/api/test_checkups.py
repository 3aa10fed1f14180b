"""How often a status asks an app how it is."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.api import checkups
from bluegreen.api.checkups import KEPT, KEPT_ILL, Checkups
from bluegreen.model import Slot
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


async def test_what_is_not_well_is_asked_again_soon_and_another_process_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slot that was asked while it started was told ill for ten seconds, serving or not."""
    now, pid, answers = [0.0], [7], [True, True, False, True]
    record = SimpleNamespace(operation=1, gated_by=None)

    async def probe(*_: object) -> Any:
        return {"healthy": answers.pop(), "failing": []}

    monkeypatch.setattr(checkups, "_probe", probe)
    monkeypatch.setattr(checkups, "time", SimpleNamespace(monotonic=lambda: now[0]))
    gate = SimpleNamespace(probes=[SimpleNamespace(command=None)])
    supervisor = SimpleNamespace(status=lambda _: SimpleNamespace(pid=pid[0]))
    app = cast(
        "Any",
        SimpleNamespace(
            name="shop", settings=SimpleNamespace(gate=gate, services=["web"]),
            slots={Slot.BLUE: record}, is_paused=lambda _: False,
            unit_keys=lambda *_: ["web"],
            parts=SimpleNamespace(supervisor=supervisor),
        ),
    )  # fmt: skip
    found = Checkups()

    async def healthy(*, at: float) -> tuple[bool | None, bool]:
        """What is known at that time before anything is asked, and what is answered."""
        now[0] = at
        known, answered = found.known(app, Slot.BLUE), await found.health(app, Slot.BLUE)
        assert answered is not None
        return None if known is None else known["healthy"], answered["healthy"]

    assert await healthy(at=0) == (None, True)
    assert await healthy(at=KEPT) == (True, True)
    pid[0] = 8
    assert found.is_due(app, Slot.BLUE)
    assert await healthy(at=KEPT) == (None, False)
    assert await healthy(at=KEPT + KEPT_ILL) == (False, False)
    assert await healthy(at=KEPT + KEPT_ILL + 0.1) == (False, True)
    assert not found.is_due(app, Slot.BLUE)
    record.gated_by = 1
    assert found.is_due(app, Slot.BLUE)
    assert await healthy(at=KEPT + KEPT_ILL + 0.2) == (None, True)
    assert answers == []
