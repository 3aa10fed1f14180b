"""What an operator sees on a terminal: phases as they are drawn, a status that stays current."""

from __future__ import annotations

import io
import os
import re
import signal
import termios
from typing import Any

from rich.console import Console

from bluegreen.cli.client import Client
from bluegreen.cli.live_status import LiveStatus
from tests.cli.terminal import on_terminal
from tests.stack import stack
from tests.waiting import eventually

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def last_frame(shown: bytes) -> list[str]:
    """The lines that stay, of what is drawn over and over."""
    text = shown.decode().rpartition("\x1b[2K")[2]
    return _ESCAPE.sub("", text).replace("\r", "").splitlines()


async def test_a_deploy_is_drawn_and_a_status_is_kept_current() -> None:
    async with stack() as built:
        built.write_app(services=("api",), watch="0.3s")
        await built.serve()
        async with on_terminal(built, "deploy", "monitor", "v1") as terminal:
            assert await terminal.ended() == 0
        assert b"\x1b[2K" in terminal.shown, "it was drawn over"
        assert b"Traceback" not in terminal.shown
        shown = "\n".join(last_frame(terminal.shown))
        for phase in ("fetch", "build", "start", "gate", "switch", "watch", "settle"):
            assert re.search(rf"^✓ +{phase} +[\d.]+ m?s", shown, re.M), shown
        assert re.search(r"^monitor: deploy v1 succeeded after [\d.]+ s$", shown, re.M), shown

        async with on_terminal(built, "status", "--watch") as terminal:
            await terminal.until(lambda shown: b"* blue" in shown)
            await built.deploy("v2")
            await terminal.until(lambda shown: b"* green" in shown)
            terminal.process.send_signal(signal.SIGINT)
            assert await terminal.ended() == 130
        assert b"Traceback" not in terminal.shown
        assert b"interrupted" not in terminal.shown, "nothing was begun that could go on"
        assert "monitor: traffic on green" in terminal.shown.decode()

        running = {
            "id": 2, "kind": "deploy", "version": "v2", "undoing": False, "phase": "settle",
            "since": 0.0, "requested_by": "somebody", "waiting_for": None,
        }  # fmt: skip
        app = {**await built.status(), "operation": running}
        found = {"apps": [app], "problems": [], "warnings": []}
        status = LiveStatus(Client(built.root))
        await eventually(lambda: _tells_of_phases(status, found), "what runs is followed")


def _tells_of_phases(status: LiveStatus, found: dict[str, Any]) -> bool:
    """Whether the picture has the phases of what runs, which is followed by another thread."""
    console = Console(file=io.StringIO(), width=100, color_system=None)
    with console.capture() as shown:
        console.print(status.draw(found))
    text = shown.get()
    return "running: operation 2, deploy v2" in text and "✓ settle" in text


async def test_what_is_typed_while_a_deploy_is_drawn_does_not_shift_it() -> None:
    async with stack() as built:
        built.write_app(services=("api",), deadline="60s")
        await built.serve()
        async with on_terminal(built, "deploy", "monitor", "v3-unhealthy") as terminal:
            before = termios.tcgetattr(terminal.descriptor)
            await terminal.until(lambda shown: b"gate" in shown)
            os.write(terminal.descriptor, b"typed")
            drawn = len(terminal.shown)
            await terminal.until(lambda shown: b"\x1b[2K" in shown[drawn:])
            terminal.process.send_signal(signal.SIGINT)
            assert await terminal.ended() == 130
            assert termios.tcgetattr(terminal.descriptor) == before
        assert b"typed" not in terminal.shown
        assert b"interrupted; an operation that has begun goes on" in terminal.shown
