"""One line of the table of routes, and where an application keeps the table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bluegreen.api.bodies import Body
from bluegreen.api.context import Api
from bluegreen.api.queries import NoQuery, Query
from bluegreen.api.scopes import Scope

Handler = Callable[[Api, web.Request], Awaitable[web.StreamResponse]]
Act = Callable[[Api, web.Request, Any], Awaitable[web.StreamResponse]]

JSON = "application/json"
JSON_LINES = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
TEXT = "text/plain"


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path, what it takes, and what it answers where nothing is wrong.

    ``scope`` None is open to all, ``body`` None takes none. ``answers`` is the type of the answer
    or, of a stream, of each of its documents; None: whatever it is.
    """

    method: str
    path: str
    handler: Handler
    act: Act | None = None  # of what has a body: the same, once that was read
    scope: Scope | None
    summary: str
    query: type[Query] = NoQuery
    body: type[Body] | None = None
    answers: Any = None
    statuses: tuple[int, ...] = (200,)
    media: str = JSON
    tagged: bool = False  # with an ETag

    @property
    def name(self) -> str:
        """Of the operation, in the OpenAPI document and in the client."""
        return str(self.handler.__name__)


IN_TABLE = web.AppKey("routes", dict[web.AbstractRoute, Route])
PAGES = web.AppKey("pages", set[web.AbstractRoute])  # for people: these judge who asks themselves
_OF_PROGRAMS = ("/v1", "/hooks")


def is_for_people(request: web.Request) -> bool:
    """Whether it is for a page: one that there is, or one that a browser asks for in vain."""
    if request.match_info.route in request.app[PAGES]:
        return True
    return (
        request.match_info.http_exception is not None
        and request.method in ("GET", "HEAD")
        and "text/html" in request.headers.get("Accept", "")
        and "/".join(request.path.split("/")[:2]) not in _OF_PROGRAMS
    )
