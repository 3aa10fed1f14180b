"""Bringing nginx to serve what is planned: by writing its files, or by seeing that root has."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bluegreen.config.settings import AppSettings
from bluegreen.errors import TrafficError
from bluegreen.model import Traffic
from bluegreen.traffic.confirmation import Confirmation
from bluegreen.traffic.disk import disk_error
from bluegreen.traffic.loading import Loading, is_loaded
from bluegreen.traffic.plan import Planner
from bluegreen.traffic.published import Change

log = logging.getLogger(__name__)

_FOREIGN = re.compile(r"bind\(\) to (\S+) failed \(99: ")  # EADDRNOTAVAIL, as nginx says it


@dataclass(frozen=True, kw_only=True)
class Move:
    """Traffic of ``app`` that is moved by the files: the markers follow once nginx accepts them."""

    app: str
    before: Traffic
    wanted: Traffic


class Publisher(Protocol):
    """How nginx comes by its files."""

    async def change(self, apps: Mapping[str, AppSettings], move: Move | None = None) -> None:
        """Have nginx serve ``apps`` and no others, as the markers or ``move`` say.

        Raises TrafficError with everything as it was.
        """
        ...

    async def is_down(self) -> bool:
        """Whether an nginx that is ours to start does not run."""
        ...

    async def stop(self) -> None:
        """End nginx, if it is ours to end."""
        ...


class OwnPublisher:
    """Writes the files of an nginx of our own."""

    def __init__(self, planner: Planner, loading: Loading) -> None:
        self._planner = planner
        self._loading = loading

    async def change(self, apps: Mapping[str, AppSettings], move: Move | None = None) -> None:
        """See `Publisher.change`."""
        changes: list[Change] = []
        committed = False
        try:
            overrides = {} if move is None else {move.app: move.wanted}
            plan = await asyncio.to_thread(self._planner.plan, apps, overrides)
            await asyncio.to_thread(self._planner.write, plan, changes)
            moves = move is not None and move.wanted != move.before
            # Workers that a killed master has left answer as it did.
            is_up = not moves and not await self._loading.is_down()
            if is_up and await self._loading.has(plan.generation):
                return
            await self._test(plan.listens, apps)
            committed = True
            if move is not None and moves:
                await asyncio.to_thread(self._planner.markers(move.app).restore, move.wanted)
            await self._loading.load(plan.generation)
        except BaseException as error:
            await self._undo(changes, move if committed else None)
            if changes:
                await self._loading.load_previous(attempted=committed)
            if isinstance(error, OSError):
                raise disk_error("nginx's files were not written", error) from error
            raise

    async def _test(self, listens: Iterable[str], apps: Mapping[str, AppSettings]) -> None:
        try:
            for warning in await self._loading.test(listens):
                log.warning("%s", warning)
        except TrafficError as error:
            foreign = {match[1] for line in error.detail if (match := _FOREIGN.search(line))}
            for name, settings in apps.items():
                if found := foreign & set(settings.nginx.listen):
                    layout = self._planner.layout
                    raise TrafficError(
                        f"{name}: nginx cannot listen on {min(found)}, which is no address of "
                        "this host",
                        detail=error.detail,
                        remedy=f"correct listen under [nginx] in {layout.app_files}/{name}.toml, "
                        f"then: {layout.remedies.take_up}",
                    ) from error
            raise

    async def _undo(self, changes: list[Change], move: Move | None) -> None:
        if move is not None:
            try:
                await asyncio.to_thread(self._planner.markers(move.app).restore, move.before)
            except OSError as error:
                log.error("the marker was not put back: %s", error)
        await asyncio.to_thread(self._planner.put_back, changes)

    async def is_down(self) -> bool:
        """See `Publisher.is_down`."""
        return await self._loading.is_down()

    async def stop(self) -> None:
        """See `Publisher.stop`."""
        await self._loading.stop()


class HostPublisher:
    """Asks the host's nginx whether it has loaded what `bluegreen apply` writes as root.

    All that is left to the daemon are the markers, so nothing it does reaches into those files.
    """

    def __init__(self, planner: Planner, confirmation: Confirmation) -> None:
        self._planner = planner
        self._confirmation = confirmation

    async def change(self, apps: Mapping[str, AppSettings], move: Move | None = None) -> None:
        """See `Publisher.change`. The files hold for all that a marker may say."""
        del move
        plan = await asyncio.to_thread(self._planner.plan, apps)
        if not await is_loaded(self._confirmation, plan.generation):
            if await self.is_down():
                raise TrafficError(
                    "the host's nginx does not answer",
                    remedy="see why: systemctl status nginx; where bluegreen has not been set up "
                    "yet: sudo bluegreen apply",
                )
            raise TrafficError(
                "the host's nginx does not serve what the app files ask for",
                remedy="write its files: sudo bluegreen apply",
            )
        try:
            await asyncio.to_thread(self._planner.write, plan, [])
        except OSError as error:
            raise disk_error("the markers were not written", error) from error

    async def is_down(self) -> bool:
        """See `Publisher.is_down`. Others start it again."""
        try:
            await self._confirmation.ask(None)
        except TrafficError:
            return True
        return False

    async def stop(self) -> None:
        """See `Publisher.stop`."""
