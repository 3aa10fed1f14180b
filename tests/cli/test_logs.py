"""What `bluegreen logs` lets through to a terminal."""

from __future__ import annotations

from bluegreen.model import Slot
from tests.cli.terminal import on_terminal
from tests.stack import stack

EVIL = b"\x1b]0;title\x07\x1b[2Jcleared\n"


async def test_escapes_are_left_out_on_a_terminal_and_kept_in_a_pipe() -> None:
    async with stack() as built:
        built.write_app(services=("api",))
        await built.serve()
        log = built.layout.app("monitor").service_log(Slot.BLUE, "api")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(EVIL)
        arguments = ("logs", "monitor", "--service", "api")
        piped = await built.cli(*arguments)
        assert piped.out == f"blue api | {EVIL.decode()}"

        async with on_terminal(built, *arguments) as terminal:
            assert await terminal.ended() == 0
        assert terminal.shown == b"blue api | cleared\r\n"
