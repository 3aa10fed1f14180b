"""`bluegreen logs --follow` of a service: what it says is shown as it says it."""

from __future__ import annotations

import asyncio
import contextlib

from tests.operations.killing import kill_service
from tests.stack import stack
from tests.waiting import PATIENCE


async def line_with(part: bytes, stream: asyncio.StreamReader) -> bytes:
    while part not in (line := await stream.readline()):
        assert line, "the command has ended"
    return line


async def test_a_line_of_a_service_arrives_as_it_is_written() -> None:
    async with stack() as built:
        built.write_app(services=("api",), watch="0s")
        await built.serve()
        await built.deploy("v1")
        following = await built.start_cli("logs", "monitor", "--service", "api", "--follow")
        assert following.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE):
                first = await line_with(b"started pid", following.stdout)
                kill_service(built, "blue", "api")  # it is started again, and that is said
                second = await line_with(b"started pid", following.stdout)
                await built.kill()
                _, error = await following.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                following.terminate()
            await following.wait()
        assert following.returncode == 3, error
        assert b"Next: " in error
        assert first.startswith(b"blue api | ")
        assert second.startswith(b"blue api | ")
        assert first != second


async def test_without_a_service_what_serves_is_followed_over_a_switch() -> None:
    async with stack() as built:
        built.write_app(services=("api",), watch="0s")
        await built.serve()
        await built.deploy("v1")
        following = await built.start_cli("logs", "monitor", "--follow")
        assert following.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE):
                said = await line_with(b"started pid", following.stdout)
                assert said.startswith(b"blue api | ")
                await built.deploy("v2")
                kill_service(built, "green", "api")  # it is started again, and that is said
                said = await line_with(b"green api | ", following.stdout)
                while b"started pid" not in said:
                    said = await following.stdout.readline()
                    assert said.startswith(b"green api | "), said
        finally:
            following.terminate()
            await following.wait()
