"""Which connections to a slot are under way there, and which are nobody's loss."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
from collections.abc import AsyncIterator, Collection
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.health.connection import End
from bluegreen.health.sockets import clients_of
from bluegreen.model import Address, Slot, UnitKey, UnitState, UnitStatus
from bluegreen.operations import draining
from bluegreen.operations.draining import UnseenError, connections
from bluegreen.operations.runtime import AppRuntime
from tests.waiting import eventually

CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))):
    print("connected", flush=True)
    sys.stdin.read()
"""


def app_at(port: int, pids: Collection[int] = (), groups: Collection[int] = ()) -> AppRuntime:
    """With one service at ``port``, whose processes and control groups are these."""
    key = UnitKey(app="shop", slot=Slot.BLUE, service="web")

    async def processes(_: UnitKey) -> frozenset[int]:
        return frozenset(pids)

    async def control_groups(_: UnitKey) -> frozenset[int]:
        return frozenset(groups)

    supervisor = SimpleNamespace(
        processes=processes, control_groups=control_groups,
        status=lambda _: UnitStatus(key=key, state=UnitState.RUNNING),
    )  # fmt: skip
    web = SimpleNamespace(address=lambda *_: Address(port=port))
    app = SimpleNamespace(
        name="shop", services=lambda _: ("web",), keys=lambda _: [key], unit_keys=lambda *_: [key],
        settings=SimpleNamespace(services={"web": web}), layout=SimpleNamespace(run=None),
        parts=SimpleNamespace(supervisor=supervisor),
    )  # fmt: skip
    return cast("AppRuntime", app)


@contextlib.asynccontextmanager
async def client_of(port: int) -> AsyncIterator[int]:
    """A process that is connected; its PID."""
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, str(port),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert client.stdout is not None
    assert client.stdin is not None
    assert await client.stdout.readline() == b"connected\n"
    try:
        yield client.pid
    finally:
        client.stdin.close()
        await client.wait()


async def count(app: AppRuntime) -> int:
    return await connections(app, Slot.BLUE)


async def test_others_count_and_the_services_own_and_ours_do_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert await count(app_at(port)) == 0
        with socket.create_connection(("127.0.0.1", port)):  # as a probe is
            assert await count(app_at(port)) == 0
            async with client_of(port) as pid:
                assert await count(app_at(port)) == 1
                assert await count(app_at(port, pids=[pid])) == 0
                group = _group_of(port)
                if group is None:
                    pytest.skip("this kernel, before 5.8, tells no control group of a socket")
                # Where there are groups, nobody looks at PIDs: they are of other users.
                assert await count(app_at(port, pids=[pid], groups=[group + 1])) == 1
                assert await count(app_at(port, groups=[group])) == 0

        async def is_over() -> bool:
            return await count(app_at(port)) == 0

        await eventually(is_over, "the kernel has heard that both have gone")


async def test_what_the_kernel_does_not_tell_is_said_and_not_taken_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_: object) -> list[End | None]:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    app = drained_at(1)

    async def waits(what: str) -> None:
        raise AssertionError(what)

    monkeypatch.setattr(draining, "clients_of", refused)
    with pytest.raises(UnseenError, match="Operation not permitted"):
        await draining.let_end(app, [Slot.BLUE], on_wait=waits)


async def test_a_look_that_fails_cuts_nothing_that_was_seen(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks: list[list[End | None] | OSError] = [
        [None], TimeoutError(), TimeoutError(), [None], TimeoutError(), [],
    ]  # fmt: skip

    def look(_: object) -> list[End | None]:
        match looks.pop(0):
            case OSError() as error:
                raise error
            case found:
                return found

    async def waits(_: str) -> None:
        """It may take that long."""

    app = drained_at(1)
    monkeypatch.setattr(draining, "clients_of", look)
    assert await draining.let_end(app, [Slot.BLUE], on_wait=waits) == {}
    assert not looks
    assert caplog.text.count("waited for on: no answer within 5 s") == 2


def drained_at(port: int) -> AppRuntime:
    app = app_at(port)
    keep = SimpleNamespace(drain_timeout=60.0)
    app.settings = cast("AppSettings", SimpleNamespace(services=app.settings.services, keep=keep))
    return app


def _group_of(port: int) -> Any:
    (group,) = {
        client.control_group
        for client in clients_of([Address(port=port)])
        if isinstance(client, End)
    }
    return group
