"""A receiver on loopback that answers as a test tells it, and a store with something to tell."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from bluegreen.api.bus import Bus
from bluegreen.config.load import Configuration
from bluegreen.config.settings import AppSettings, DaemonSettings
from bluegreen.model import (
    Lane,
    Operation,
    OperationError,
    OperationKind,
    OperationState,
    Release,
    Requester,
    Slot,
)
from bluegreen.notifications.courier import Surroundings
from bluegreen.notifications.schedule import Patience
from bluegreen.notifications.service import Notifications
from bluegreen.store import Store

SECRET = "whsec_" + base64.b64encode(b"a secret of more than 16 bytes").decode()
QUICK = Patience(first=0.01, longest=0.02, asked_for=0.02)
Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Listener:
    """``answers`` are given in turn, and then ``usual``: statuses, or whole responses."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: list[int | Answering] = field(default_factory=list)
    usual: int | Answering = 200
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(Asked(request.method, request.path_qs, dict(request.headers), body))
        self.came.set()
        answer = self.answers.pop(0) if self.answers else self.usual
        return web.Response(status=answer) if isinstance(answer, int) else await answer(request)

    @property
    def types(self) -> list[str]:
        return [one.document["type"] for one in self.asked]


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    listener = Listener()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", listener.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield listener
    finally:
        await runner.cleanup()


@dataclass
class Host:
    """A store and what tells of it, without the rest of a daemon."""

    root: Path
    store: Store
    bus: Bus
    notifications: Notifications

    @classmethod
    async def open(cls, root: Path, patience: Patience = QUICK) -> Host:
        bus = Bus()
        store = await Store.open(root / "bluegreen.db", events=bus.publish)
        around = Surroundings(store=store, news=bus.listen, patience=patience, together=0.01)
        return cls(root, store, bus, Notifications(around))

    async def close(self) -> None:
        await self.notifications.close()
        await self.store.close()

    def secret(self, text: str = SECRET, name: str = "secret") -> dict[str, str]:
        file = self.root / name
        file.write_text(text + "\n")
        return {"file": str(file)}

    def webhook(self, url: str, **options: Any) -> dict[str, Any]:
        """A receiver of signed webhooks, as ``[[notify]]`` has it."""
        return {"url": url, "secret": self.secret(), "allow_private": True} | options

    async def tell(self, *receivers: dict[str, Any], app: dict[str, Any] | None = None) -> None:
        """Take a configuration up; ``app`` is added to what the file of ``shop`` says."""
        settings = AppSettings.model_validate(
            {
                "app": {"name": "shop"}, "source": {"git": "/srv/shop.git"},
                "services": {"web": {"command": "web"}},
            }
            | (app or {})
        )  # fmt: skip
        daemon = DaemonSettings.model_validate({"notify": receivers})
        await self.notifications.take_up(Configuration(daemon=daemon, apps={"shop": settings}))

    async def begin(
        self, version: str = "v2", *, app: str = "shop", commit: str | None = None,
        kind: OperationKind = OperationKind.DEPLOY,
    ) -> Operation:  # fmt: skip
        operation = await self.store.create_operation(
            app=app, kind=kind, lane=Lane.RELEASE, version=version,
            slot=Slot.GREEN, from_slot=Slot.BLUE,
            requested_by=Requester(name="uid 0 (root)", via="unix socket"),
        )  # fmt: skip
        if commit is not None:
            await self.resolve(operation, commit)
        return operation

    async def resolve(self, operation: Operation, commit: str) -> None:
        version = operation.version or ""
        release = Release(app=operation.app, version=version, commit=commit, origin="x")
        await self.store.resolve_release(operation.id, release)

    async def end(
        self, operation: Operation, state: OperationState = OperationState.FAILED
    ) -> None:
        bad = state is not OperationState.SUCCEEDED
        error = OperationError(kind="gate", message="it broke", remedy="mend it") if bad else None
        await self.store.finish_operation(operation.id, state, error=error)

    async def happen(
        self, state: OperationState = OperationState.FAILED, version: str = "v2", **options: Any
    ) -> Operation:
        """A whole operation."""
        operation = await self.begin(version, **options)
        await self.end(operation, state)
        return operation

    async def overview(self) -> dict[str, Any]:
        """Of the only receiver."""
        [view] = await self.notifications.overview()
        return view
