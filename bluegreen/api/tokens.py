"""Tokens: made, compared with what is kept of them, and remembered once they were right."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bluegreen.errors import OverloadedError, StoreError
from bluegreen.model import Requester
from bluegreen.store import tokens as stored
from bluegreen.store.tokens import Hashed, NewToken, Token

log = logging.getLogger(__name__)

# The secret has 256 random bits: the cost is for a text that is not as random as it should be.
COST = (2**14, 8, 1)  # scrypt's n, r and p: some 50 ms and 16 MiB
MOST_WAITING = 32  # texts that wait to be compared
REMEMBERED = 1000  # texts that were right
USE_RECORDED = 60.0  # seconds between two records of a token's use

_TEXT = re.compile(r"bg_([1-9][0-9]{0,17})_([A-Za-z0-9_-]{43})")


@dataclass(eq=False)
class _Lasting:
    """An answer that goes on."""

    end: Callable[[], None]
    timer: asyncio.TimerHandle | None = None


class Keyring:
    """The tokens of a daemon. Nobody else changes them, so what is remembered is true."""

    def __init__(self, kept: stored.Tokens) -> None:
        self._kept = kept
        self._threads = ThreadPoolExecutor(1, "scrypt")  # half of the smallest host at most
        self._right: OrderedDict[bytes, Token] = OrderedDict()  # by SHA-256 of the text
        self._revoked: set[int] = set()  # by this daemon
        self._lasting: defaultdict[int, set[_Lasting]] = defaultdict(set)  # by token
        self._comparing: dict[bytes, asyncio.Task[Token | None]] = {}
        self._revocations = 0
        self._used: dict[int, float] = {}  # when it was recorded last, by time.monotonic()
        self._recording: set[asyncio.Task[None]] = set()

    async def create(self, new: NewToken) -> tuple[Token, str]:
        """A new token and its text, which nobody will see again. Raises OverloadedError."""
        secret = secrets.token_urlsafe(32)
        salt = os.urandom(16)
        digest = await self._hash(secret, salt, COST)
        token = await self._kept.create(new, Hashed(salt=salt, digest=digest, cost=COST))
        return token, f"bg_{token.id}_{secret}"

    async def all(self) -> list[Token]:
        """Those that have ended too."""
        return await self._kept.all()

    async def valid(self, number: int) -> Token | None:
        """The token of a number, unless it was revoked or has expired."""
        found = await self._kept.find(number)
        return found[0] if found is not None and self.is_valid(found[0]) else None

    def is_valid(self, token: Token) -> bool:
        """Whether it is one still, of those that were valid once."""
        return token.id not in self._revoked and token.is_valid(time.time())

    async def revoke(self, number: int, by: Requester) -> Token:
        """End a token; what is asked with it from now on is refused. Raises NotFoundError."""
        token = await self._kept.revoke(number, by)
        self._revocations += 1
        self._revoked.add(number)
        for one in [*self._lasting.get(number, ())]:
            one.end()
        for text in [text for text, known in self._right.items() if known.id == number]:
            del self._right[text]
        return token

    def remembered(self, text: str) -> Token | None:
        """The token of a text that was right before, if it is still valid; at once."""
        key = _key(text)
        token = self._right.get(key)
        if token is None:
            return None
        if not token.is_valid(time.time()):
            del self._right[key]
            return None
        self._right.move_to_end(key)
        return token

    async def find(self, text: str) -> Token | None:
        """The valid token of a text, compared in a thread. Raises OverloadedError."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        key = _key(text)
        if (task := self._comparing.get(key)) is None:
            task = asyncio.create_task(
                self._compare(key, int(match[1]), match[2]), name="compare a token"
            )
            self._comparing[key] = task
            task.add_done_callback(lambda _: self._comparing.pop(key, None))
        return await asyncio.shield(task)

    @contextlib.contextmanager
    def while_valid(self, token: Token | None, end: Callable[[], None]) -> Iterator[None]:
        """Within, ``end`` is called as soon as the token is none any more; None: it lasts."""
        if token is None:
            yield
            return
        lasting = _Lasting(end)
        if token.id in self._revoked:
            end()
        elif token.expires_at is not None:
            left = token.expires_at - time.time()
            lasting.timer = asyncio.get_running_loop().call_later(max(left, 0.0), end)
        self._lasting[token.id].add(lasting)
        try:
            yield
        finally:
            self._lasting[token.id].discard(lasting)
            if not self._lasting[token.id]:
                del self._lasting[token.id]
            if lasting.timer is not None:
                lasting.timer.cancel()

    def note_use(self, token: Token, where: str) -> None:
        """Record that it was used, not more often than once a minute, and later."""
        now = time.monotonic()
        if now - self._used.get(token.id, -USE_RECORDED) < USE_RECORDED:
            return
        self._used[token.id] = now
        recording = self._record_use(token.id, time.time(), where)
        task = asyncio.create_task(recording, name="record a token's use")
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def close(self) -> None:
        """Wait for what is recorded."""
        if waited := {*self._recording, *self._comparing.values()}:
            await asyncio.wait(waited)
        self._threads.shutdown(wait=False)

    async def _compare(self, key: bytes, number: int, secret: str) -> Token | None:
        while True:
            revocations = self._revocations
            found = await self._kept.find(number)
            if found is None or not found[0].is_valid(time.time()):
                return None
            token, hashed = found
            digest = await self._hash(secret, hashed.salt, hashed.cost)
            if not hmac.compare_digest(digest, hashed.digest):
                return None
            if revocations == self._revocations:  # else it may be the one that was revoked
                break
        self._right[key] = token
        if len(self._right) > REMEMBERED:
            self._right.popitem(last=False)
        return token

    async def _hash(self, secret: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
        if len(self._comparing) > MOST_WAITING:
            raise OverloadedError(
                "too many tokens wait to be compared", remedy="ask again in a few seconds"
            )
        n, r, p = cost

        def scrypt() -> bytes:
            return hashlib.scrypt(secret.encode(), salt=salt, n=n, r=r, p=p, dklen=32)

        return await asyncio.get_running_loop().run_in_executor(self._threads, scrypt)

    async def _record_use(self, number: int, at: float, where: str) -> None:
        try:
            await self._kept.used(number, at, where)
        except StoreError as error:
            log.warning("the use of token %d was not recorded: %s", number, error.message)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
