"""What the handlers work on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bluegreen.api.attempts import Attempts
from bluegreen.api.bus import Bus
from bluegreen.api.checkups import Checkups
from bluegreen.api.hook_body import HookRoom
from bluegreen.api.overview import Overview
from bluegreen.api.peer import caller_of, note_app
from bluegreen.api.repetitions import Repetitions
from bluegreen.api.tokens import Keyring
from bluegreen.errors import WhichAppError
from bluegreen.notifications.service import Notifications
from bluegreen.operations.acceptance import InForce
from bluegreen.operations.desk import Desk
from bluegreen.operations.runtime import AppRuntime
from bluegreen.webhooks.intake import Intake


@dataclass(frozen=True)
class Api:
    """The daemon, as requests see it.

    ``reload`` takes up changed files or, told to check, only says whether it would; ``in_force``
    says what is in use.
    """

    desk: Desk
    bus: Bus
    reload: Callable[[bool], Awaitable[dict[str, Any]]]
    in_force: Callable[[], InForce]
    hooks: Intake
    keyring: Keyring
    notifications: Notifications
    attempts: Attempts = field(default_factory=Attempts)
    checkups: Checkups = field(default_factory=Checkups)
    overview: Overview = field(default_factory=Overview)
    repetitions: Repetitions = field(default_factory=Repetitions)
    hook_room: HookRoom = field(default_factory=HookRoom)

    def name(self, request: web.Request) -> str:
        """The app that the path names; ``-`` is the only one there is. Raises UsageError."""
        name = request.match_info["app"]
        if name == "-":
            name = self._only_app(request)
        note_app(request, name)
        return name

    def _only_app(self, request: web.Request) -> str:
        apps = caller_of(request).apps
        if apps is None:
            return self.desk.only_app()
        if len(apps) == 1:
            return next(iter(apps))
        raise WhichAppError(
            f"which app? this token is for {', '.join(sorted(apps))}", remedy="name one of them"
        )

    def app(self, request: web.Request) -> AppRuntime:
        """The same, as it runs. Raises NotFoundError too."""
        return self.desk.app(self.name(request))

    async def past_name(self, request: web.Request) -> str:
        """The name, of an app that was removed too: what was done to it is kept for ever.

        Raises UsageError, NotFoundError.
        """
        name = self.name(request)
        if name in self.desk.apps or await self.desk.parts.store.operations(name, limit=1):
            return name
        return self.desk.app(name).name  # raises NotFoundError
