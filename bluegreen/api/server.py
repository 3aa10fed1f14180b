"""The routes, and what answers them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bluegreen import __version__
from bluegreen.api.bodies import (
    BODY_LIMIT,
    DeployBody,
    Empty,
    HoldBody,
    LockBody,
    MigrationBody,
    ReloadBody,
    RollbackBody,
    SwitchBody,
    read_body,
)
from bluegreen.api.bus import Bus
from bluegreen.api.checkups import Checkups
from bluegreen.api.control_socket import ControlSocket
from bluegreen.api.limits import LIST_LIMIT
from bluegreen.api.logs import kept_output, operation_logs, service_logs
from bluegreen.api.migrations import action_named, applied_view, require_name
from bluegreen.api.parameters import backup_id, idempotency_key, operation_id, whole_number
from bluegreen.api.peer import requester
from bluegreen.api.plan import plan_view
from bluegreen.api.preview import preview
from bluegreen.api.problems import as_problems
from bluegreen.api.status import app_status, daemon_status
from bluegreen.api.streaming import streaming
from bluegreen.api.views import entry_view, event_view, hold_view, operation_view
from bluegreen.errors import UsageError
from bluegreen.model import AppLock, Operation, Slot
from bluegreen.operations.acceptance import InForce
from bluegreen.operations.desk import Desk
from bluegreen.operations.planning import plan
from bluegreen.operations.restoring import loss

log = logging.getLogger(__name__)

KEEP_ALIVE_COMMENT = 15.0  # seconds of silence after which an event stream says that it lives
EVENTS_AT_ONCE = 500
SHUTDOWN_LIMIT = 2.0  # seconds that open streams are given when the daemon ends
LINE_LIMIT = 512 * 1024  # bytes of a request's first line; what is long is refused in words

Begin = Callable[[web.Request, str, str | None], Awaitable[Operation]]


@dataclass(frozen=True)
class Api:
    """The handlers.

    ``reload`` takes up changed files or, told to check, only says whether it would; ``in_force``
    says what is in use.
    """

    desk: Desk
    bus: Bus
    reload: Callable[[bool], Awaitable[dict[str, Any]]]
    in_force: Callable[[], InForce]
    checkups: Checkups = field(default_factory=Checkups)

    def application(self) -> web.Application:
        application = web.Application(middlewares=[as_problems], client_max_size=BODY_LIMIT)
        add = application.router.add_route
        add("GET", "/healthz", self.health)
        add("POST", "/v1/reload", self.reload_files)
        add("GET", "/v1/apps", self.apps)
        add("GET", "/v1/apps/{app}", self.app)
        add("GET", "/v1/apps/{app}/operations", self.operations)
        add("GET", "/v1/operations", self.operations)
        add("GET", "/v1/apps/{app}/logs", self.logs)
        add("GET", "/v1/apps/{app}/plan", self.plan)
        add("POST", "/v1/apps/{app}/deployments", self.deploy)
        add("POST", "/v1/apps/{app}/rollback", self.rollback)
        add("POST", "/v1/apps/{app}/restart", self.restart)
        add("POST", "/v1/apps/{app}/stop", self.stop)
        add("POST", "/v1/apps/{app}/start", self.start)
        add("POST", "/v1/apps/{app}/switch", self.switch)
        add("POST", "/v1/apps/{app}/cancel", self.cancel)
        add("GET", "/v1/apps/{app}/backups", self.backups)
        add("POST", "/v1/apps/{app}/backups", self.back_up)
        add("GET", "/v1/apps/{app}/backups/{id}/loss", self.loss)
        add("POST", "/v1/apps/{app}/backups/{id}/verify", self.verify)
        add("POST", "/v1/apps/{app}/backups/{id}/restore", self.restore)
        add("GET", "/v1/apps/{app}/migrations", self.migrations)
        add("POST", "/v1/apps/{app}/migrations/{action}", self.migrate)
        add("POST", "/v1/apps/{app}/hold", self.hold)
        add("POST", "/v1/apps/{app}/release", self.release)
        add("POST", "/v1/apps/{app}/preview", self.preview)
        add("POST", "/v1/apps/{app}/lock", self.lock)
        add("POST", "/v1/apps/{app}/unlock", self.unlock)
        add("GET", "/v1/operations/{id}", self.operation)
        add("GET", "/v1/operations/{id}/events", self.events)
        return application

    def _name(self, request: web.Request) -> str:
        """The app that the path names; ``-`` is the only one there is."""
        name = request.match_info["app"]
        return self.desk.only_app() if name == "-" else name

    async def _past_name(self, request: web.Request) -> str:
        """The same, of an app that was removed too: what was done to it is kept for ever."""
        name = self._name(request)
        if name in self.desk.apps or await self.desk.parts.store.operations(name, limit=1):
            return name
        return self.desk.app(name).name  # raises NotFoundError

    # -- the daemon -------------------------------------------------------------------------

    async def health(self, _: web.Request) -> web.Response:
        await self.desk.parts.store.integrity()
        return web.json_response({"status": "ok", "version": __version__})

    async def reload_files(self, request: web.Request) -> web.Response:
        body = await read_body(request, ReloadBody)
        return web.json_response(await self.reload(body.check))

    # -- looking ----------------------------------------------------------------------------

    async def apps(self, request: web.Request) -> web.Response:
        found = await daemon_status(self.desk, self.in_force(), self._checkups(request))
        return web.json_response(found)

    async def app(self, request: web.Request) -> web.Response:
        app = self.desk.app(self._name(request))
        return web.json_response(await app_status(self.desk, app, self._checkups(request)))

    def _checkups(self, request: web.Request) -> Checkups | None:
        return self.checkups if request.query.get("probe") == "1" else None

    async def operations(self, request: web.Request) -> web.Response:
        app = None
        if "app" in request.match_info:
            app = await self._past_name(request)
        found = await self.desk.parts.store.operations(
            app,
            before=whole_number(request, "before", None, 2**62),
            limit=whole_number(request, "limit", 20, LIST_LIMIT, least=1) or 20,
        )
        return web.json_response({"operations": [operation_view(o) for o in found]})

    async def operation(self, request: web.Request) -> web.Response:
        return web.json_response(await self._operation_view(operation_id(request)))

    async def _operation_view(self, number: int) -> dict[str, Any]:
        operation = await self.desk.parts.store.operation(number)
        view = operation_view(operation, await self.desk.parts.store.phases(number))
        layout = self.desk.parts.layout.app(operation.app)
        return view | {"output": await asyncio.to_thread(kept_output, layout, number)}

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events of an operation, resumable by Last-Event-ID, until it has ended."""
        number = operation_id(request)
        await self.desk.parts.store.operation(number)  # raises if there is none
        after = request.headers.get("Last-Event-ID", "0")
        if not after.isdecimal() or len(after) > 18:
            raise UsageError("Last-Event-ID is not right", remedy="send the id of an event")
        async with streaming(request, "text/event-stream") as response:
            await self._send_events(response, number, int(after))
        return response

    async def _send_events(self, response: web.StreamResponse, number: int, last: int) -> None:
        """All after event ``last`` of an operation, as they come, until it has ended."""
        store = self.desk.parts.store
        while True:
            news = self.bus.listen()
            operation = await store.operation(number)
            found = await store.events(operation=number, after=last, limit=EVENTS_AT_ONCE)
            for event in found:
                last = event.id
                data = json.dumps(event_view(event))
                await response.write(f"id: {last}\nevent: {event.kind}\ndata: {data}\n\n".encode())
            if found:
                continue
            if operation.state.is_final:
                data = json.dumps(await self._operation_view(number))
                await response.write(f"event: end\ndata: {data}\n\n".encode())
                return
            try:
                await asyncio.wait_for(news.wait(), KEEP_ALIVE_COMMENT)
            except TimeoutError:
                await response.write(b": still running\n\n")

    async def logs(self, request: web.Request) -> web.StreamResponse:
        def follow() -> bool:
            gone = request.transport is None or request.transport.is_closing()
            return request.query.get("follow") == "1" and not gone

        lines = whole_number(request, "lines", 100, 100_000) or 0
        operation = whole_number(request, "operation", None, 2**62)
        if operation is not None and "service" in request.query:
            raise UsageError(
                "an operation has no output of one service alone",
                remedy="name an operation (with a phase, if you like), or a service",
            )
        if operation is not None:
            phase = request.query.get("phase")
            app = await self._past_name(request)
            output = await operation_logs(self.desk, app, operation, phase, follow=follow)
        else:
            service = request.query.get("service")
            output = await service_logs(
                self.desk.app(self._name(request)), service, lines=lines, follow=follow
            )
        async with streaming(request, "application/x-ndjson") as response, aclosing(output):
            async for line in output:
                await response.write(line)
        return response

    async def plan(self, request: web.Request) -> web.Response:
        app, version = self.desk.app(self._name(request)), request.query.get("version", "")
        return web.json_response(plan_view(await plan(self.desk, app, version)))

    async def backups(self, request: web.Request) -> web.Response:
        app = self.desk.app(self._name(request))
        found = [entry_view(entry) for entry in await app.backups.entries()]
        return web.json_response({"app": app.name, "backups": found})

    async def loss(self, request: web.Request) -> web.Response:
        app = self.desk.app(self._name(request))
        serving = request.query.get("serving") == "1"
        return web.json_response(await loss(app, backup_id(request), serving=serving))

    async def verify(self, request: web.Request) -> web.Response:
        await read_body(request, Empty)
        app, number = self.desk.app(self._name(request)), backup_id(request)
        damaged = await app.backups.verify(number)
        found = {"app": app.name, "id": number, "verified": not damaged, "damaged": damaged}
        return web.json_response(found)

    # -- changing ---------------------------------------------------------------------------

    async def deploy(self, request: web.Request) -> web.Response:
        body = await read_body(request, DeployBody)
        operation = await self.desk.deploy(
            self._name(request), body.version, await requester(request),
            acknowledged=body.ack, key=idempotency_key(request),
        )  # fmt: skip
        return web.json_response(operation_view(operation), status=202)

    async def rollback(self, request: web.Request) -> web.Response:
        body = await read_body(request, RollbackBody)
        operation = await self.desk.rollback(
            self._name(request), body.version, await requester(request),
            backup=body.restore, key=idempotency_key(request),
        )  # fmt: skip
        return web.json_response(operation_view(operation), status=202)

    async def restart(self, request: web.Request) -> web.Response:
        return await self._begin(request, self.desk.restart)

    async def stop(self, request: web.Request) -> web.Response:
        return await self._begin(request, self.desk.stop)

    async def start(self, request: web.Request) -> web.Response:
        return await self._begin(request, self.desk.start)

    async def back_up(self, request: web.Request) -> web.Response:
        return await self._begin(request, self.desk.back_up)

    async def restore(self, request: web.Request) -> web.Response:
        await read_body(request, Empty)
        operation = await self.desk.restore(
            self._name(request),
            backup_id(request),
            await requester(request),
            key=idempotency_key(request),
        )
        return web.json_response(operation_view(operation), status=202)

    async def migrations(self, request: web.Request) -> web.Response:
        return web.json_response(await applied_view(self.desk.app(self._name(request))))

    async def migrate(self, request: web.Request) -> web.Response:
        action = action_named(request.match_info["action"])
        body = await read_body(request, MigrationBody)
        require_name(action, body.name)
        operation = await self.desk.migrate(
            self._name(request),
            action,
            body.name,
            await requester(request),
            key=idempotency_key(request),
        )
        return web.json_response(operation_view(operation), status=202)

    async def _begin(
        self, request: web.Request, begin: Callable[..., Awaitable[Operation]]
    ) -> web.Response:
        await read_body(request, Empty)
        operation = await begin(
            self._name(request), await requester(request), key=idempotency_key(request)
        )
        return web.json_response(operation_view(operation), status=202)

    async def switch(self, request: web.Request) -> web.Response:
        began = time.perf_counter()
        body = await read_body(request, SwitchBody)
        to = None if body.to == "back" else Slot(body.to)
        app = self._name(request)
        switched = await self.desk.switch(
            app, to, await requester(request), key=idempotency_key(request)
        )
        operation = switched.operation
        return web.json_response(
            {
                "app": app,
                "to": switched.to,
                "version": self.desk.app(app).slots[switched.to].version,
                "operation": None if operation is None else operation_view(operation),
                "warnings": list(switched.warnings),
                "seconds": time.perf_counter() - began,
            }
        )

    async def cancel(self, request: web.Request) -> web.Response:
        await read_body(request, Empty)
        operation = await self.desk.cancel(self._name(request))
        return web.json_response(await self._operation_view(operation.id))

    async def hold(self, request: web.Request) -> web.Response:
        body = await read_body(request, HoldBody)
        app = self.desk.app(self._name(request)).name
        hold = await self.desk.hold(app, body.timeout, await requester(request))
        return web.json_response({"app": app, "held": hold_view(hold)})

    async def release(self, request: web.Request) -> web.Response:
        await read_body(request, Empty)
        app = self.desk.app(self._name(request)).name
        hold, warnings = await self.desk.release(app, await requester(request))
        seconds = max(0.0, time.time() - hold.since)
        return web.json_response({"app": app, "seconds": seconds, "warnings": list(warnings)})

    async def preview(self, request: web.Request) -> web.Response:
        app = self.desk.app(self._name(request)).name
        return web.json_response(await preview(self.desk, app, request))

    async def lock(self, request: web.Request) -> web.Response:
        body = await read_body(request, LockBody)
        lock = AppLock(
            app=self._name(request), reason=body.reason,
            by=(await requester(request)).name, at=time.time(),
        )  # fmt: skip
        await self.desk.set_lock(lock)
        return web.json_response({"app": lock.app, "reason": lock.reason, "by": lock.by})

    async def unlock(self, request: web.Request) -> web.Response:
        await read_body(request, Empty)
        await self.desk.clear_lock(self._name(request))
        return web.json_response({"app": self._name(request)})


async def serve(api: Api, control: ControlSocket) -> web.AppRunner:
    """Serve on the control socket; the runner's cleanup ends it and closes the socket."""
    runner = web.AppRunner(
        api.application(),
        access_log=None,
        auto_decompress=False,  # `as_problems` refuses what is encoded
        handle_signals=False,
        max_line_size=LINE_LIMIT,
        shutdown_timeout=SHUTDOWN_LIMIT,
    )
    await runner.setup()
    await web.SockSite(runner, control.listener).start()
    return runner
