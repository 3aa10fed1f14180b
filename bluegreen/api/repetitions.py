"""Requests that come again with their Idempotency-Key: nothing is done twice.

What begins an operation is known by that operation, for ever. The answers of all else are kept for
a time: see `bluegreen.store.answers`. What was done right before the daemon was killed, without its
answer being kept yet, is done once more when it is asked for again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from aiohttp import web

from bluegreen.api.bodies import Body
from bluegreen.api.peer import note_look
from bluegreen.errors import StoreError
from bluegreen.store import DuplicateKeyError, Store
from bluegreen.store.answers import KeptAnswer
from bluegreen.store.failures import ReusedKeyError

log = logging.getLogger(__name__)

Act = Callable[[], Awaitable[web.StreamResponse]]


def digest(request: web.Request, body: Body) -> str:
    """Of what is asked for: equal requests have the same."""
    named = {name: value for name, value in request.match_info.items() if name != "app"}
    path = "" if request.match_info.route.resource is None else (
        request.match_info.route.resource.canonical
    )  # fmt: skip
    text = json.dumps([request.method, path, named, body.model_dump_json()])
    return hashlib.sha256(text.encode()).hexdigest()


_KEPT = "bluegreen.kept"  # of a response
_IN_MEMORY = "bluegreen.in-memory"
MOST_IN_MEMORY = 1000  # answers


def keep_as(response: web.Response, document: object) -> web.Response:
    """Keep ``document`` of it, where what it says is a secret that nobody is told twice."""
    response[_KEPT] = document
    return response


def keep_in_memory(response: web.Response) -> web.Response:
    """Keep it out of the store: a daemon that is started anew does again what was asked for."""
    response[_IN_MEMORY] = True
    return response


class Repetitions:
    """One request with the same key at a time; what was refused may be tried again."""

    def __init__(self) -> None:
        self._in_memory: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def unless_answered(
        self, store: Store, app: str, key: str, act: Act
    ) -> web.StreamResponse:
        """What begins an operation, which will be known by the key. Raises ReusedKeyError."""
        async with self._turns.setdefault((app, key), asyncio.Lock()):
            if await store.answers.find(app, key) is not None:
                raise ReusedKeyError(key)
            return await act()

    async def once(
        self, store: Store, app: str, key: str, request: web.Request, asked: str, act: Act
    ) -> web.StreamResponse:
        """The first answer to what was ``asked`` (a digest), or that of ``act``, which is kept.

        Raises ReusedKeyError, DuplicateKeyError, and whatever ``act`` raises.
        """
        async with self._turns.setdefault((app, key), asyncio.Lock()):
            if (known := await store.answers.find(app, key)) is not None:
                if known.request != asked:
                    raise ReusedKeyError(key)
                document = known.document
                if document is None:
                    document = self._in_memory.get((app, key))
                if document is not None:
                    note_look(request)
                    return web.json_response(document)
            if (operation := await store.by_idempotency_key(app, key)) is not None:
                raise DuplicateKeyError(app, key, operation.id)
            response = await act()
            if isinstance(response, web.Response):
                await self._keep(store, app, key, asked, response)
            return response

    async def _keep(
        self, store: Store, app: str, key: str, asked: str, response: web.Response
    ) -> None:
        """It is done, and is answered whether the store can keep that or not."""
        document = response.get(_KEPT)
        if document is None:
            document = json.loads(response.text or "null")
        if _IN_MEMORY in response:
            self._in_memory[app, key], document = document, None
            if len(self._in_memory) > MOST_IN_MEMORY:
                self._in_memory.popitem(last=False)
        answer = KeptAnswer(request=asked, document=document)
        try:
            await store.answers.keep(app, key, answer)
        except StoreError as error:
            log.warning("the answer to a request with a key is not kept: %s", error.message)
