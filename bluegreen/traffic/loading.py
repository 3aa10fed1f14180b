"""Have nginx load its files, and know when it has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

import psutil

from bluegreen.errors import TrafficError
from bluegreen.remedies import Remedies
from bluegreen.traffic.confirmation import POLL, Confirmation
from bluegreen.traffic.nginx import HostNginx, accepts
from bluegreen.traffic.own_nginx import OwnNginx

log = logging.getLogger(__name__)

LOAD_TIMEOUT = 10.0  # seconds until a reload has taken effect


async def is_loaded(confirmation: Confirmation, generation: str) -> bool:
    """Whether nginx says that it serves ``generation``."""
    try:
        answer = await confirmation.ask(None)
    except TrafficError:
        return False
    return answer.app is None and answer.generation == generation


class Loading:
    """Loads into ``nginx``, and asks it what it has loaded."""

    def __init__(self, nginx: HostNginx, confirmation: Confirmation) -> None:
        self._nginx = nginx
        self._confirmation = confirmation

    async def has(self, generation: str) -> bool:
        """Whether nginx serves ``generation`` already."""
        return await is_loaded(self._confirmation, generation)

    async def test(self, listens: Iterable[str]) -> list[str]:
        """Whether nginx accepts its files and could listen on ``listens``; what it warns of.

        Raises TrafficError with nginx's words, or with who holds a port.
        """
        warnings = await self._nginx.test()
        await self._nginx.check_ports(listens)
        return warnings

    async def load(self, generation: str) -> None:
        """Start nginx if it is ours and does not run, else reload it, until it serves all anew.

        nginx tells its old workers some 100 ms after the new ones have begun; until then a
        connection may go to either. Raises TrafficError after 10 s, or when nginx has refused.
        """
        position = self._nginx.log_position()
        old = await asyncio.to_thread(self._nginx.workers)
        await self._start_or_reload()
        now = asyncio.get_running_loop().time
        deadline, again = now() + LOAD_TIMEOUT, now() + LOAD_TIMEOUT / 3
        while True:
            loaded = await self.has(generation)
            if loaded and not await asyncio.to_thread(_any_accepts, old):
                return
            if not loaded and now() >= again:
                # One that has just been started sleeps over a signal that comes too early.
                again = deadline
                await self._start_or_reload()
            refused = await asyncio.to_thread(self._nginx.refusal, position)
            if refused or now() >= deadline:
                raise _not_loaded(refused, self._confirmation.remedies)
            await asyncio.sleep(POLL)

    async def load_previous(self, *, attempted: bool) -> None:
        """After the files were put back: load them, if others were ``attempted`` or nginx is down.

        Does not wait for the effect. Failures go to the log.
        """
        try:
            if self._nginx.is_configured and (attempted or await self.is_down()):
                await self._start_or_reload()
        except TrafficError as error:
            log.error("%s", "; ".join(error.lines()))

    async def stop(self) -> None:
        """End an nginx of our own; the host's is not ours to end."""
        if isinstance(self._nginx, OwnNginx):
            await self._nginx.stop()

    async def is_down(self) -> bool:
        """Whether an nginx of our own does not run."""
        if not isinstance(self._nginx, OwnNginx):
            return False  # others see to the host's
        return await asyncio.to_thread(self._nginx.master) is None

    async def _start_or_reload(self) -> None:
        if isinstance(self._nginx, OwnNginx) and await self.is_down():
            await self._nginx.start()
        else:
            await self._nginx.reload()


def _any_accepts(workers: Sequence[psutil.Process]) -> bool:
    return any(accepts(worker) for worker in workers)


def _not_loaded(refused: Sequence[str], remedies: Remedies) -> TrafficError:
    if refused:
        return TrafficError(
            "nginx refused the new configuration and keeps the one it had",
            detail=refused,
            remedy=f"mend what nginx names, then: {remedies.take_up}",
        )
    return TrafficError(
        f"nginx did not take up its new configuration within {LOAD_TIMEOUT:g} s",
        remedy="see that nginx includes bluegreen's files, and its error log; "
        f"then: {remedies.take_up}",
    )
