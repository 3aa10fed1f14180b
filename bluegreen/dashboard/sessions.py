"""Sessions: begun with a token and ended with it, and kept over a restart of the daemon.

The cookie holds 256 random bits, of which only the SHA-256 is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bluegreen.api.tokens import Keyring
from bluegreen.files import write_atomically
from bluegreen.store.tokens import Token

log = logging.getLogger(__name__)

IDLE = 3600.0  # seconds after the last page or form; what a page is told by itself does not count
LONGEST = 12 * 3600.0  # seconds after it was begun, whatever is done
MOST = 1000  # the one that was used longest ago ends for a new one
USE_KEPT = 60.0  # seconds between two records of a session's use on disk


@dataclass(kw_only=True, eq=False)
class Session:
    """Times are Unix seconds. ``said`` is what the next page is to say first."""

    token: Token
    begun: float
    seen: float
    said: list[str] = field(default_factory=list)
    lasting: set[Callable[[], None]] = field(default_factory=set)

    def is_over(self, now: float) -> bool:
        return now - self.seen > IDLE or now - self.begun > LONGEST


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """A session as it is on disk, whose token is not known yet."""

    token: int
    begun: float
    seen: float


class Sessions:
    """All of a daemon's, by the SHA-256 of what the cookie holds."""

    def __init__(
        self, keyring: Keyring, path: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._keyring = keyring
        self._path = path
        self._clock = clock
        self._open: dict[str, Session] = {}
        self._kept: dict[str, _Kept] = {}  # of the daemon before, nobody has come back to yet
        self._writing: asyncio.Task[None] | None = None
        self._written = 0.0  # when, by the clock

    async def load(self) -> None:
        """Take up the sessions that an earlier daemon has left. Without its file there are none."""
        try:
            text = await asyncio.to_thread(self._path.read_text)
            self._kept = {digest: _Kept(**one) for digest, one in json.loads(text).items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("the dashboard's sessions were not read, people log in anew: %s", error)

    async def begin(self, token: Token) -> str:
        """A new session of a valid token: what its cookie is to hold."""
        now = self._clock()
        self._forget(now)
        secret = secrets.token_urlsafe(32)
        self._open[_digest(secret)] = Session(token=token, begun=now, seen=now)
        await self._keep()
        return secret

    async def find(self, secret: str) -> Session | None:
        """The session that a cookie names, if it goes on; its use counts. Raises StoreError."""
        digest, now = _digest(secret), self._clock()
        session = self._open.get(digest) or await self._taken_up(digest)
        if session is None or not self.goes_on(session):
            self._end(digest)
            return None
        session.seen = now
        if now - self._written > USE_KEPT:
            self._begin_to_keep()
        return session

    def goes_on(self, session: Session) -> bool:
        """Whether it has neither run out nor lost its token."""
        return not session.is_over(self._clock()) and self._keyring.is_valid(session.token)

    async def end(self, secret: str) -> None:
        """Log out. A session that is none is none afterwards, too."""
        self._end(_digest(secret))
        await self._keep()

    @contextlib.contextmanager
    def while_open(self, session: Session, end: Callable[[], None]) -> Iterator[None]:
        """Within, ``end`` is called where somebody logs out."""
        session.lasting.add(end)
        try:
            yield
        finally:
            session.lasting.discard(end)

    async def close(self) -> None:
        """Wait until all is kept."""
        await self._keep()

    async def _taken_up(self, digest: str) -> Session | None:
        kept = self._kept.get(digest)
        if kept is None:
            return None
        token = await self._keyring.valid(kept.token)
        if self._kept.pop(digest, None) is None:
            return self._open.get(digest)  # another request was faster, or has logged out
        if token is None:
            return None
        session = Session(token=token, begun=kept.begun, seen=kept.seen)
        self._open[digest] = session
        return session

    def _end(self, digest: str) -> None:
        self._kept.pop(digest, None)
        session = self._open.pop(digest, None)
        for end in [*session.lasting] if session is not None else ():
            end()

    def _forget(self, now: float) -> None:
        """Those that are over, and of too many the one that was used longest ago."""
        for digest in [digest for digest, one in self._open.items() if one.is_over(now)]:
            self._end(digest)
        for digest, kept in [*self._kept.items()]:
            if now - kept.seen > IDLE:
                del self._kept[digest]
        if len(self._open) >= MOST:
            self._end(min(self._open, key=lambda digest: self._open[digest].seen))
        if len(self._kept) >= MOST:
            self._kept.clear()

    async def _keep(self) -> None:
        """Wait until what is so now is on disk, or was tried to be."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
        await asyncio.wait({self._begin_to_keep()})

    def _begin_to_keep(self) -> asyncio.Task[None]:
        if self._writing is None or self._writing.done():
            self._written = self._clock()
            self._writing = asyncio.create_task(self._write(), name="keep sessions")
        return self._writing

    async def _write(self) -> None:
        document = {
            digest: {"token": one.token.id, "begun": one.begun, "seen": one.seen}
            for digest, one in self._open.items()
        } | {digest: vars(one) for digest, one in self._kept.items()}
        text = json.dumps(document)
        try:
            await asyncio.to_thread(write_atomically, self._path, text, mode=0o600)
        except OSError as error:
            log.warning("the dashboard's sessions are not kept: %s", error.strerror)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
