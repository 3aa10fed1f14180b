"""Ways in which the daemon ends, or the whole host goes down, while operations are held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from tests.production.production import DAEMON, Production
from tests.waiting import eventually


class Held(Protocol):
    """What holds the daemon."""

    async def until_told(self, ending: asyncio.Task[Any]) -> None:
        """Let go of it once ``ending`` has told it to end, and await that."""

    async def let_go_of_daemon(self) -> None:
        """It may go on."""


End = Callable[[Production, Held], Awaitable[None]]


async def restart(production: Production, held: Held) -> None:
    restarting = production.host.run("systemctl", "restart", DAEMON)
    await held.until_told(asyncio.create_task(restarting, name="restart the daemon"))


async def stop(production: Production, held: Held) -> None:
    """Visitors are served meanwhile; then it is started again."""
    stopping = production.host.run("systemctl", "stop", DAEMON)
    await held.until_told(asyncio.create_task(stopping, name="stop the daemon"))
    assert await production.served()
    await production.host.run("systemctl", "start", DAEMON)


async def kill(production: Production, held: Held) -> None:
    """systemd starts the next one by itself."""
    pid = await production.unit(DAEMON, "MainPID")
    await production.host.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", DAEMON)

    async def is_gone() -> bool:
        return await production.unit(DAEMON, "MainPID") != pid

    await held.let_go_of_daemon()  # who is traced does not go before its tracer has seen it
    await eventually(is_gone, "the daemon is killed")


async def reboot(production: Production, held: Held) -> None:
    going_down = production.host.shut_down()
    await held.until_told(asyncio.create_task(going_down, name="shut the host down"))
    await production.host.boot()


async def crash(production: Production, _: Held) -> None:
    await production.host.crash()
    await production.host.boot()
