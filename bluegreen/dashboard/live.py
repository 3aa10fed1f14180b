"""What a page is told as it happens, over one stream of server-sent events.

A page has fragments, each with a version. It says which it has, all in one digest; where that is
not what there is, it is sent them, and later those that change, several in one event ``put``. So a
page that has lost its connection, also to a daemon that was started anew, comes to what is so now.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from bluegreen.api.bus import Bus
from bluegreen.api.route import EVENT_STREAM
from bluegreen.api.streaming import streaming
from bluegreen.api.tokens import Keyring
from bluegreen.dashboard.pages import Fragment
from bluegreen.dashboard.sessions import Session, Sessions
from bluegreen.errors import OverloadedError

Fragments = Mapping[str, Fragment]  # by the id of its element
Look = Callable[[], Awaitable[Fragments]]

LOOK_AGAIN = 2.0  # seconds, for what happens without an event of the store
TOGETHER = 0.03  # seconds in which changes that come one after another become one
SILENCE = 15.0  # seconds after which a stream says that it lives
MOST_STREAMS = 120  # of all browsers: of those connections that there may be from outside
RETRY = b"retry: 1000\n\n"  # milliseconds until a browser connects again


def have(fragments: Fragments) -> str:
    """The digest of all that a page shows."""
    versions = "".join(f"{name} {one.version}\n" for name, one in sorted(fragments.items()))
    return hashlib.sha256(versions.encode()).hexdigest()[:16]


@dataclass
class Live:
    """The streams of a daemon."""

    bus: Bus
    keyring: Keyring
    sessions: Sessions
    streams: int = field(default=0, init=False)

    @contextlib.asynccontextmanager
    async def opened(self, request: web.Request, session: Session) -> AsyncIterator[Stream]:
        """A stream of a session, which is cut when that is over. Raises OverloadedError."""
        if self.streams >= MOST_STREAMS:
            raise OverloadedError(
                f"{self.streams} pages are told of changes already",
                remedy="close some; this one asks again by itself",
            )
        self.streams += 1
        try:
            async with streaming(request, EVENT_STREAM, self.keyring) as response:
                stream = Stream(self, response, session)
                await response.write(RETRY)

                def cut() -> None:
                    if request.transport is not None:
                        request.transport.abort()

                with self.sessions.while_open(session, cut):
                    yield stream
        finally:
            self.streams -= 1


@dataclass
class Stream:
    """One page's."""

    live: Live
    response: web.StreamResponse
    session: Session

    async def send(self, kind: str, document: object, number: str | None = None) -> None:
        """One event. Raises ConnectionError where nobody listens any more."""
        named, text = "" if number is None else f"id: {number}\n", json.dumps(document)
        await self.response.write(f"{named}event: {kind}\ndata: {text}\n\n".encode())

    async def follow(
        self, look: Look, shown: str, until: Callable[[], bool] = lambda: False
    ) -> bool:
        """Tell of each change of what ``look`` sees, up to what it sees once it is ``until``.

        Whether it came to that: else the session was over before.
        """
        known: dict[str, str] | None = None
        loop = asyncio.get_running_loop()
        spoke = loop.time()
        while True:
            news = self.live.bus.listen()
            if not self.live.sessions.goes_on(self.session):
                await self.send("login", {})
                return False
            ends = until()
            fragments = await look()
            versions = {name: one.version for name, one in fragments.items()}
            if known is None and have(fragments) == shown:
                known = versions
            changed = {
                name: one.html
                for name, one in fragments.items()
                if known is None or known.get(name) != one.version
            }
            if changed or known is None or known.keys() != versions.keys():
                document = {"all": [*versions], "put": changed}
                await self.send("put", document, have(fragments))
                spoke = loop.time()
            elif loop.time() - spoke > SILENCE:
                await self.response.write(b": nothing new\n\n")
                spoke = loop.time()
            known = versions
            if ends:
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), LOOK_AGAIN)
                await asyncio.sleep(TOGETHER)


def shown_by(request: web.Request) -> str:
    """The digest of what a page has: as it was loaded, or after the last event that it got."""
    return request.headers.get("Last-Event-ID") or request.query.get("have", "")
