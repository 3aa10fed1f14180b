"""Bodies of deliveries, which are only needed to do one again: written later, and not kept long.

Of an app the newest are kept, for a while. What is done about a delivery does not wait for them.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bluegreen.errors import StoreError
from bluegreen.store.database import Database

log = logging.getLogger(__name__)

BODIES_KEPT = 50  # of an app, the newest …
BODY_LIFE = 7 * 86400.0  # … for so many seconds
UNTRIGGERED_KEPT = 1000  # of an app, the newest
BODY_DELAY = 1.0  # seconds after which they are written, those that are still among the newest …
RETRY = 10.0  # … and once more, where they could not be
MOST_WAITING = 32 * 2**20  # bytes not in the store yet; beyond it the oldest bodies are let go
AT_ONCE = 2 * 2**20  # bytes in one transaction: a switch of traffic may wait for its end
FORGET_EVERY = 3600.0  # seconds between looks for those whose time is over

_KEEP_BODY = "UPDATE deliveries SET headers = ?, body = ? WHERE id = ?"
_CONTENT = "SELECT headers, body FROM deliveries WHERE id = ?"
# By the partial indexes: what a delivery costs does not grow with what was delivered.
_FORGET_BODIES = """
    UPDATE deliveries SET body = NULL WHERE app = :app AND body IS NOT NULL AND (
        received_at < :before OR id <= (
            SELECT id FROM deliveries WHERE app = :app AND body IS NOT NULL
            ORDER BY id DESC LIMIT 1 OFFSET :kept
        )
    ) AND decision <> 'accepted'
"""
_FORGET = """
    DELETE FROM deliveries
    WHERE app = :app AND decision IN ('declined', 'ignored', 'unreadable') AND id <= (
        SELECT id FROM deliveries
        WHERE app = :app AND decision IN ('declined', 'ignored', 'unreadable')
        ORDER BY id DESC LIMIT 1 OFFSET :kept
    )
"""
_FORGET_OLD = (
    "UPDATE deliveries SET body = NULL"
    " WHERE body IS NOT NULL AND received_at < ? AND decision <> 'accepted'"
)


@dataclass(frozen=True)
class Content:
    """What of a delivery is only needed to do it again."""

    delivery: int
    headers: Mapping[str, str]
    body: bytes | None = field(repr=False)  # None: not kept any more


class Bodies:
    """Those of a store. ``close`` at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, deque[Content]] = {}  # by app, not in the store yet …
        self._writing: dict[str, deque[Content]] = {}  # … and on their way to it
        self._size = 0  # bytes of them, at the most
        self._later: asyncio.TimerHandle | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._said = ""

    def add(self, app: str, content: Content) -> None:
        """Have it kept in a moment."""
        self._waiting.setdefault(app, deque(maxlen=BODIES_KEPT)).append(content)
        self._size += len(content.body or b"")
        if self._size > MOST_WAITING:
            self._let_go()
        self._keep_in(BODY_DELAY)

    def unkept(self, delivery: int) -> Content | None:
        """What of it is not in the store yet."""
        return next((one for one in self._every() if one.delivery == delivery), None)

    async def of(self, delivery: int) -> Content:
        """Its headers, without what was secret in them, and its body while that is kept."""
        if (content := self.unkept(delivery)) is not None:
            return content
        [row] = await self._database.read(_CONTENT, (delivery,))
        return Content(delivery, json.loads(row["headers"] or "{}"), row["body"])

    async def forget_old(self) -> None:
        """From now on, until cancelled: of apps too to which nothing more is delivered."""
        while True:
            try:
                await self._database.write(_forget_old)
            except StoreError as error:
                log.warning("old bodies of deliveries are not forgotten yet: %s", error.message)
            await asyncio.sleep(FORGET_EVERY)

    async def close(self) -> None:
        """Keep those that are not kept yet, if the disk lets them be."""
        if self._keeping is not None:
            await asyncio.wait([self._keeping])
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._waiting:
            await self._write()

    def _every(self) -> Iterator[Content]:
        for waiting in (*self._waiting.values(), *self._writing.values()):
            yield from waiting

    def _let_go(self) -> None:
        """Bodies of the oldest that wait, until the others are no more than may."""
        self._size = sum(len(one.body or b"") for one in self._every())
        waiting = ((app, one) for app, several in self._waiting.items() for one in several)
        for app, one in sorted(waiting, key=lambda pair: pair[1].delivery):
            if self._size <= MOST_WAITING:
                return
            self._size -= len(one.body or b"")
            several = self._waiting[app]
            several[several.index(one)] = replace(one, body=None)

    def _keep_in(self, seconds: float) -> None:
        if self._later is None and self._keeping is None:
            loop = asyncio.get_running_loop()
            self._later = loop.call_later(seconds, self._begin_to_keep)

    def _begin_to_keep(self) -> None:
        self._later = None
        self._keeping = asyncio.create_task(self._keep(), name="bodies of deliveries")

    async def _keep(self) -> None:
        try:
            written = await self._write()
        finally:
            self._keeping = None
        if self._waiting:
            self._keep_in(BODY_DELAY if written else RETRY)

    async def _write(self) -> bool:
        writing, self._waiting = self._waiting, {}
        self._writing = writing
        try:
            for part in _parts(writing):
                keep = functools.partial(_keep_bodies, bodies=part, now=time.time())
                await self._database.write(keep)
        except StoreError as error:
            for app, newer in self._waiting.items():
                writing.setdefault(app, deque(maxlen=BODIES_KEPT)).extend(newer)
            self._waiting = writing
            if error.message != self._said:
                self._said = error.message
                log.warning("bodies of deliveries are not kept yet: %s", error.message)
            return False
        else:
            self._said = ""
            return True
        finally:
            self._writing = {}
            self._size = sum(len(one.body or b"") for one in self._every())


def _parts(bodies: Mapping[str, Iterable[Content]]) -> Iterator[Mapping[str, Sequence[Content]]]:
    """The same, each so large that it takes no long time to write."""
    part: defaultdict[str, list[Content]] = defaultdict(list)
    size = 0
    for app, contents in bodies.items():
        for content in contents:
            length = len(content.body or b"")
            if part and size + length > AT_ONCE:
                yield part
                part, size = defaultdict(list), 0
            part[app].append(content)
            size += length
    if part:
        yield part


def _keep_bodies(
    connection: sqlite3.Connection, bodies: Mapping[str, Iterable[Content]], now: float
) -> None:
    """Add them, by app, and forget what is past its time: bodies, and what began nothing."""
    for app, contents in bodies.items():
        for content in contents:
            headers = json.dumps(dict(content.headers))
            connection.execute(_KEEP_BODY, (headers, content.body, content.delivery))
        kept = {"app": app, "before": now - BODY_LIFE, "kept": BODIES_KEPT}
        connection.execute(_FORGET_BODIES, kept)
        connection.execute(_FORGET, {"app": app, "kept": UNTRIGGERED_KEPT})


def _forget_old(connection: sqlite3.Connection) -> None:
    connection.execute(_FORGET_OLD, (time.time() - BODY_LIFE,))
