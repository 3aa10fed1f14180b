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


async def test_what_is_not_there_is_wrong_use_and_what_wrote_nothing_is_not() -> None:
    async with stack() as built:
        built.write_app(services=("api",), watch="0s")
        await built.serve()

        async def said(*arguments: str, status: int = 0) -> str:
            answer = await built.cli("logs", *arguments)
            assert answer.out == ""
            assert answer.status == status, answer.err
            return answer.err.removesuffix("\n")

        nothing = "its services have written nothing"
        assert await said("monitor") == f"monitor was never deployed: {nothing}"
        nothing = "service api of monitor has written nothing in either slot"
        assert await said("--service", "api") == nothing
        await built.deploy("v1")
        assert (await built.cli("deploy", "v99")).status == 1
        assert await said("--lines", "0") == "no lines were asked for: --lines 0"
        fetch = "the fetch phase of operation 1 (deploy, succeeded) has no output"
        there = "there is output of: build-assets"
        assert await said("1", "--phase", "fetch") == f"{fetch}; {there}"
        begun = "did not come to its gate phase, but to: preflight, fetch"
        gate = f"operation 2 (deploy, failed) {begun}; no phase has written any"
        assert await said("2", "--phase", "gate") == gate
        assert (await built.cli("stop")).status == 0
        assert (await said("3")).startswith("operation 3 (stop, succeeded) has no output: ")

        assert "there is no operation 99" in await said("99", status=2)
        wrong = await said("1", "--phase", "bulid", status=2)
        assert "operation 1 has no phase bulid" in wrong
        assert "name one of: preflight, fetch, build" in wrong
        assert "its services: api" in await said("--service", "apl", status=2)
