"""What an operator sees on a terminal: phases as they are drawn, a status that stays current."""

from __future__ import annotations

import re
import signal

from tests.cli.terminal import on_terminal
from tests.stack import stack

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
        assert "monitor: traffic on green" in terminal.shown.decode()
