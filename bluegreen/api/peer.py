"""Who asks, and which apps are theirs to see: noted with a request as it comes in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from aiohttp import web

from bluegreen.api.unix_peer import name_of
from bluegreen.errors import ForbiddenError, NotFoundError
from bluegreen.model import Requester
from bluegreen.store.tokens import Token


@dataclass(frozen=True, kw_only=True)
class Caller:
    """``apps`` None: all. Without a ``name``, ``uid`` has one, which is looked up when it counts:
    a directory service that is down must not hold up whoever only looks."""

    via: str
    name: str | None = None
    uid: int | None = None
    apps: frozenset[str] | None = None
    guest: str | None = None  # from where, as it is counted; None: not by itself
    token: Token | None = None

    def sees(self, app: str) -> bool:
        return self.apps is None or app in self.apps

    async def requester(self) -> Requester:
        if self.name is None and self.uid is not None:
            return Requester(name=await name_of(self.uid), via=self.via)
        return Requester(name=self.name or "somebody", via=self.via)


# What is noted with a request.
_CALLER = web.RequestKey("caller", Caller)
_APP = web.RequestKey("app", str)
_ABOUT = web.RequestKey("about", dict[str, object])
_LOOK = web.RequestKey("look", bool)


def note_caller(request: web.Request, caller: Caller) -> None:
    """Say who asks, before anything is answered."""
    request[_CALLER] = caller


def caller_of(request: web.Request) -> Caller:
    """Who asks."""
    return request[_CALLER]


def note_app(request: web.Request, app: str) -> None:
    """Say which app a request is about."""
    request[_APP] = app


def app_of(request: web.Request) -> str | None:
    """Which app it is about, as far as that is known; None: none, or the whole host."""
    return request.get(_APP)


def note_about(request: web.Request, **about: object) -> None:
    """Say more of what is asked, for the record of it: never a secret."""
    request[_ABOUT] = {**request.get(_ABOUT, {}), **about}


def about_of(request: web.Request) -> dict[str, object]:
    """What is said of it, beside the app."""
    path = {name: text for name, text in request.match_info.items() if name != "app"}
    return {**path, **request.get(_ABOUT, {})}


def note_look(request: web.Request) -> None:
    """Say that it changes nothing, whatever its method."""
    request[_LOOK] = True


def has_only_looked(request: web.Request) -> bool:
    return _LOOK in request


async def requester(request: web.Request) -> Requester:
    """Who asks, as it is recorded with what comes of it."""
    return await caller_of(request).requester()


def require_app(request: web.Request, app: str) -> None:
    """Raises NotFoundError, as of an app that does not exist, where it is not theirs to see."""
    if not caller_of(request).sees(app):
        raise hidden(app, caller_of(request).apps or ())


def hidden(app: str, apps: Collection[str]) -> NotFoundError:
    """What whoever may see only ``apps`` is told of another one, whether there is one or not."""
    return NotFoundError(
        f"there is no app named {app}",
        remedy=f"known apps: {', '.join(sorted(apps)) or 'none'}; those are what this token is for",
    )


def require_whole_host(request: web.Request) -> None:
    """Raises ForbiddenError for whoever may see only some apps."""
    apps = caller_of(request).apps
    if apps is not None:
        raise ForbiddenError(
            f"this is about the whole host, and the token is for {' and '.join(sorted(apps))} only",
            remedy="ask with a token that is for all apps: bluegreen token create without --app",
        )
