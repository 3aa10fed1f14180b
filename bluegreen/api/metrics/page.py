"""The page that Prometheus reads: gathered on the event loop, written beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bluegreen.api.metrics.apps import app_families, delivery_families
from bluegreen.api.metrics.families import Families
from bluegreen.api.metrics.history import outcome_families, phase_families
from bluegreen.api.metrics.host import daemon_families, notification_families, store_families
from bluegreen.api.metrics.watch import watch_families
from bluegreen.api.status import shown
from bluegreen.errors import StoreError, TrafficError
from bluegreen.webhooks.intake import NOBODY

if TYPE_CHECKING:
    from bluegreen.api.context import Api

LIMIT = 5.0  # seconds for nginx, and for the store, to answer: Prometheus gives up after 10


async def page(api: Api, accept: str, only: Collection[str] | None) -> tuple[bytes, str]:
    """The page in the format that ``accept`` prefers, and its media type.

    With ``only`` some apps nothing is said of the host, as their names are on it.
    """
    store, is_counted = await _store_answers(api), await _is_counted(api)
    apps = shown(api.desk, only)
    families = await app_families(api.desk, apps, store=store)
    families += delivery_families(apps, api.hooks.decided, api.hooks.refused)
    names, watching = {app.name for app in apps}, api.desk.watching
    families += watch_families(watching.totals, names, watching.strange if only is None else None)
    if is_counted:
        families += outcome_families(api.desk.parts.store.tally, names)
    if only is None:
        families += await _host(api, store=store)
    if only is None and is_counted:
        families += phase_families(api.desk.parts.store.tally)
    encode, media_type = choose_encoder(accept)
    registry = CollectorRegistry()
    if only is None:
        ProcessCollector(registry=registry)
    registry.register(_Gathered(families))
    return await asyncio.to_thread(encode, registry), media_type


class _Gathered(Collector):
    """What was gathered for one page."""

    def __init__(self, families: Families) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        return ()  # each is of one page: no two collide

    def collect(self) -> Iterable[Metric]:
        return self._families


async def _store_answers(api: Api) -> bool:
    try:
        async with asyncio.timeout(LIMIT):
            await api.desk.parts.store.integrity()
    except (StoreError, TimeoutError):
        return False
    return True


async def _is_counted(api: Api) -> bool:
    """Whether its tally is up to date: half of a long history would be figures that fall."""
    try:
        async with asyncio.timeout(LIMIT):
            await api.desk.parts.store.tally.catch_up()
    except (StoreError, TimeoutError):
        return False
    return True


async def _nginx_answers(api: Api) -> bool:
    try:
        async with asyncio.timeout(LIMIT):
            await api.desk.parts.traffic.expect_nginx()
    except (TrafficError, TimeoutError):
        return False
    return True


async def _host(api: Api, *, store: bool) -> Families:
    families = daemon_families(
        api.in_force(), apps=len(api.desk.apps), nginx=await _nginx_answers(api), store=store,
        failed=api.attempts.failed, strangers=api.hooks.refused[NOBODY],
    )  # fmt: skip
    parts = api.desk.parts
    size = await asyncio.to_thread(_size, parts.layout.database)
    families += store_families(parts.store, size)
    if store:
        families += notification_families(await api.notifications.overview())
    return families


def _size(database: Path) -> int:
    """Of the file and its log, in bytes. Blocking."""
    files = (database, database.with_name(f"{database.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
