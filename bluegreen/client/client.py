"""Every route of the API as a method; docs/api.md says what each does and answers."""

# What comes from outside is Any: that the daemon answers in these types, its own tests see to.
# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from bluegreen.client.connection import PATIENCE, QUIET_LIMIT, RETRY, Connection
from bluegreen.client.events import EventLines
from bluegreen.errors import DaemonUnreachableError

if TYPE_CHECKING:  # what is answered, which takes longer to import than to ask for
    from bluegreen.api.documents.apps import Apps, AppState, Locked, Unlocked
    from bluegreen.api.documents.daemon import Alive, Reloaded
    from bluegreen.api.documents.data import Applied, Backups, Loss, Verified
    from bluegreen.api.documents.notifications import Receivers, ReceiverTests
    from bluegreen.api.documents.operations import LogLine, Operation, OperationInFull, Operations
    from bluegreen.api.documents.plans import Plan
    from bluegreen.api.documents.queue import Resumed
    from bluegreen.api.documents.tokens import Token, TokenMade, Tokens
    from bluegreen.api.documents.traffic import (
        Held,
        PreviewIssued,
        PreviewsRevoked,
        Released,
        Switched,
    )
    from bluegreen.api.documents.webhooks import Deliveries, DeliveriesTried, Replayed, Webhooks

CONTROL_SOCKET = "run/bluegreen/control.sock"  # under the root
LOOK_LIMIT = 30.0  # seconds
CHANGE_LIMIT = 900.0  # seconds: a switch to a cold slot is answered once that is gated

Slot = Literal["blue", "green"]


class Client:
    """A daemon: of this host by the ``root`` of its files, or at a ``url`` with a ``token``.

    To be used in ``async with``. Apps are named, or ``-`` for the only one. Every change takes a
    ``key``, an Idempotency-Key; without one it gets its own, by which it is sent again where the
    connection breaks off. Every method raises RefusalError and DaemonUnreachableError, the latter
    too where no answer has come within ``look_limit`` or ``change_limit`` (seconds).
    """

    def __init__(
        self,
        *,
        root: Path | str | None = None,
        url: str | None = None,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        look_limit: float = LOOK_LIMIT,
        change_limit: float = CHANGE_LIMIT,
    ) -> None:
        """``tls`` None: certificates are verified as Python does by itself."""
        if (root is None) == (url is None):
            raise ValueError("name either a root or a url")
        address = url or Path(root or "/") / CONTROL_SOCKET
        self._daemon = Connection(address, token, tls, look_limit, change_limit)

    async def __aenter__(self) -> Self:
        await self._daemon.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._daemon.close()

    # -- the daemon -------------------------------------------------------------------------

    async def health(self) -> Alive:
        return await self._get("/healthz")

    async def metrics(self) -> str:
        """The text that Prometheus reads."""
        return await self._daemon.text("/metrics")

    async def openapi(self) -> dict[str, Any]:
        return await self._get("/v1/openapi.json")

    async def reload(self, *, check: bool = False, key: str | None = None) -> Reloaded:
        return await self._post("/v1/reload", key, check=check)

    async def tokens(self) -> Tokens:
        return await self._get("/v1/tokens")

    async def create_token(
        self,
        scopes: Sequence[str],
        *,
        apps: Sequence[str] = (),
        seconds: float | None = None,
        name: str | None = None,
        key: str | None = None,
    ) -> TokenMade:
        """Its text is answered once: null to a request that is sent again."""
        return await self._post(
            "/v1/tokens", key, scopes=list(scopes), apps=list(apps), seconds=seconds, name=name
        )

    async def revoke_token(self, number: int) -> Token:
        return await self._daemon.change(f"/v1/tokens/{number}", {}, None, method="DELETE")

    async def receivers(self) -> Receivers:
        """Who is notified."""
        return await self._get("/v1/notify")

    async def tell_a_test(
        self, receiver: str | None = None, *, key: str | None = None
    ) -> ReceiverTests:
        """Send a test to one that is notified, or to all."""
        return await self._post("/v1/notify/test", key, receiver=receiver)

    # -- looking ----------------------------------------------------------------------------

    async def apps(self, *, probe: bool = False) -> Apps:
        return await self._get("/v1/apps", probe=probe)

    async def app(self, app: str, *, probe: bool = False) -> AppState:
        return await self._get(_app(app), probe=probe)

    async def plan(self, app: str, version: str) -> Plan:
        return await self._get(_app(app, "plan"), version=version)

    async def plan_and_build(self, app: str, version: str, *, key: str | None = None) -> Plan:
        """As ``plan``, and the version is built for it: see ``POST /v1/apps/{app}/plan``."""
        return await self._post(_app(app, "plan"), key, version=version)

    async def operations(
        self, app: str | None = None, *, before: int | None = None, limit: int | None = None
    ) -> Operations:
        """One page of the history of an app, or of all."""
        path = "/v1/operations" if app is None else _app(app, "operations")
        return await self._get(path, before=before, limit=limit)

    async def history(self, app: str | None = None) -> AsyncIterator[Operation]:
        """All of it, the newest first, page by page."""
        before: int | None = None
        while True:
            page = await self.operations(app, before=before, limit=100)
            for operation in page["operations"]:
                yield operation
                before = operation["id"]
            if page["next"] is None:
                return

    async def operation(self, number: int) -> OperationInFull:
        return await self._get(f"/v1/operations/{number}")

    async def events(
        self, number: int, *, after: int = 0
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Pairs of an event's name and its document; the last is ``end`` with the operation.

        Goes on by itself after the last event where the connection breaks off; raises
        DaemonUnreachableError when no daemon has answered for 30 seconds.
        """
        parsed, heard = EventLines(str(after)), time.monotonic()
        while True:
            headers = {} if parsed.last == "0" else {"Last-Event-ID": parsed.last}
            try:
                async for line in self._daemon.lines(
                    f"/v1/operations/{number}/events", quiet_limit=QUIET_LIMIT, headers=headers
                ):
                    heard = time.monotonic()
                    if (event := parsed.take(line)) is None:
                        continue
                    yield event
                    if event[0] == "end":
                        return
            except DaemonUnreachableError:
                if time.monotonic() - heard > PATIENCE:
                    raise
            parsed = EventLines(parsed.last)  # half an event may have been taken
            await asyncio.sleep(RETRY)

    async def outcome(self, number: int) -> OperationInFull:
        """The operation, once it has ended."""
        async for name, _ in self.events(number):
            if name == "end":
                break
        return await self.operation(number)

    async def logs(
        self,
        app: str,
        *,
        operation: int | None = None,
        phase: str | None = None,
        service: str | None = None,
        lines: int | None = None,
        follow: bool = False,
    ) -> AsyncIterator[LogLine]:
        async for line in self._daemon.lines(
            _app(app, "logs"),
            quiet_limit=None if follow else LOOK_LIMIT,
            headers={},
            operation=operation, phase=phase, service=service, lines=lines, follow=follow,
        ):  # fmt: skip
            yield json.loads(line)

    # -- releases ---------------------------------------------------------------------------

    async def deploy(
        self,
        app: str,
        version: str,
        *,
        ack: Sequence[str] = (),
        manual: bool = False,
        force: bool = False,
        key: str | None = None,
    ) -> Operation:
        """``manual``: it waits for `promote`."""
        return await self._post(
            _app(app, "deployments"), key,
            version=version, ack=list(ack), manual=manual or None, force=force or None,
        )  # fmt: skip

    async def promote(
        self, app: str, operation: int | None = None, *, key: str | None = None
    ) -> OperationInFull:
        """Let the release go on that waits for a person. ``operation`` None: whichever waits."""
        return await self._post(_app(app, "promote"), key, operation=operation)

    async def rollback(
        self,
        app: str,
        version: str | None = None,
        *,
        restore: int | None = None,
        key: str | None = None,
    ) -> Operation:
        return await self._post(_app(app, "rollback"), key, version=version, restore=restore)

    async def restart(self, app: str, *, key: str | None = None) -> Operation:
        return await self._post(_app(app, "restart"), key)

    async def stop(self, app: str, *, key: str | None = None) -> Operation:
        return await self._post(_app(app, "stop"), key)

    async def start(self, app: str, *, key: str | None = None) -> Operation:
        return await self._post(_app(app, "start"), key)

    async def cancel(
        self, app: str, operation: int | None = None, *, key: str | None = None
    ) -> OperationInFull:
        """``operation`` None: the one that runs."""
        return await self._post(_app(app, "cancel"), key, operation=operation)

    async def resume(self, app: str, *, key: str | None = None) -> Resumed:
        return await self._post(_app(app, "resume"), key)

    # -- traffic ----------------------------------------------------------------------------

    async def switch(
        self, app: str, to: Literal["back"] | Slot = "back", *, key: str | None = None
    ) -> Switched:
        return await self._post(_app(app, "switch"), key, to=to)

    async def hold(self, app: str, *, timeout: float | None = None, key: str | None = None) -> Held:
        """``timeout`` is how many seconds requests wait at the most."""
        return await self._post(_app(app, "hold"), key, timeout=timeout)

    async def release(self, app: str, *, key: str | None = None) -> Released:
        return await self._post(_app(app, "release"), key)

    async def preview(
        self, app: str, *, seconds: float | None = None, key: str | None = None
    ) -> PreviewIssued:
        return await self._post(_app(app, "preview"), key, seconds=seconds)

    async def revoke_previews(self, app: str, *, key: str | None = None) -> PreviewsRevoked:
        return await self._post(_app(app, "preview"), key, revoke=True)

    async def lock(self, app: str, reason: str, *, key: str | None = None) -> Locked:
        return await self._post(_app(app, "lock"), key, reason=reason)

    async def unlock(self, app: str, *, key: str | None = None) -> Unlocked:
        return await self._post(_app(app, "unlock"), key)

    # -- data -------------------------------------------------------------------------------

    async def backups(self, app: str) -> Backups:
        return await self._get(_app(app, "backups"))

    async def back_up(self, app: str, *, key: str | None = None) -> Operation:
        return await self._post(_app(app, "backups"), key)

    async def loss(self, app: str, backup: int, *, serving: bool = False) -> Loss:
        return await self._get(_app(app, f"backups/{backup}/loss"), serving=serving)

    async def verify(self, app: str, backup: int, *, key: str | None = None) -> Verified:
        return await self._post(_app(app, f"backups/{backup}/verify"), key)

    async def restore(self, app: str, backup: int, *, key: str | None = None) -> Operation:
        return await self._post(_app(app, f"backups/{backup}/restore"), key)

    async def migrations(self, app: str) -> Applied:
        return await self._get(_app(app, "migrations"))

    async def migrate(
        self,
        app: str,
        action: Literal["check", "run", "rollback", "mark-applied"],
        name: str | None = None,
        *,
        key: str | None = None,
    ) -> Operation:
        return await self._post(_app(app, f"migrations/{action}"), key, name=name)

    # -- webhooks ---------------------------------------------------------------------------

    async def webhooks(self, app: str) -> Webhooks:
        return await self._get(_app(app, "webhooks"))

    async def deliveries(
        self, app: str, *, before: int | None = None, limit: int | None = None
    ) -> Deliveries:
        return await self._get(_app(app, "deliveries"), before=before, limit=limit)

    async def try_out(
        self,
        app: str,
        *,
        event: str | None = None,
        version: str | None = None,
        key: str | None = None,
    ) -> DeliveriesTried:
        return await self._post(_app(app, "webhooks/test"), key, event=event, version=version)

    async def replay(self, app: str, delivery: str, *, key: str | None = None) -> Replayed:
        return await self._post(_app(app, f"deliveries/{quote(delivery, safe='')}/replay"), key)

    # -- requests ---------------------------------------------------------------------------

    async def _get(self, path: str, **query: object) -> Any:
        return await self._daemon.look(path, **query)

    async def _post(self, path: str, key: str | None, **body: object) -> Any:
        return await self._daemon.change(path, _given(body), key)


def _app(name: str, rest: str = "") -> str:
    path = f"/v1/apps/{quote(name, safe='')}"
    return f"{path}/{rest}" if rest else path


def _given(body: Mapping[str, object]) -> Mapping[str, object]:
    """Without what was left out, as the daemon has its own mind of that."""
    return {name: value for name, value in body.items() if value not in (None, [])}
