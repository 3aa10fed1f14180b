"""The short way of a delivery past aiohttp's application, of which most of its time would be.

It is for a request that came whole, of one plain form, on a connection on which nothing but such
requests have come. All else is aiohttp's to read, and whatever follows it on that connection: no
byte is read by two who might disagree on where a request ends.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from bluegreen.api.access import Access
from bluegreen.api.context import Api
from bluegreen.api.handlers.webhooks import refusal, told
from bluegreen.api.problems import unexpected
from bluegreen.errors import BluegreenError
from bluegreen.webhooks.intake import BESIDE_THE_LOOP

_JSON = "application/json; charset=utf-8"
# A path without an escape, and headers of one line each, of printable ASCII.
_HEAD = re.compile(
    rb"POST /hooks/([A-Za-z0-9._-]{1,100}) HTTP/1\.1\r\n"
    rb"((?:[A-Za-z0-9-]{1,64}:[\t -~]{0,2048}\r\n){1,64})\r\n"
)
# With one of these it is not what it looks like.
_NOT_PLAIN = frozenset(
    {
        "connection", "content-encoding", "expect", "keep-alive", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Plain:
    """A delivery that came whole, with its headers by their names in lower case."""

    app: str
    headers: Mapping[str, str]
    body: bytes


def plain(data: bytes) -> Plain | None:
    """What ``data`` is, where it is one delivery of the plain form, all of it and nothing else."""
    head = _HEAD.match(data)
    if head is None:
        return None
    headers: dict[str, str] = {}
    for line in head[2].decode("ascii").splitlines():
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if name in headers:
            return None
        if name in _NOT_PLAIN and (name, value.lower()) != ("connection", "keep-alive"):
            return None
        headers[name] = value
    length = headers.get("content-length", "")
    if not (headers.get("host") and length.isdecimal() and len(length) <= 5):
        return None
    if int(length) > BESIDE_THE_LOOP or len(data) - head.end() != int(length):
        return None
    return Plain(head[1].decode("ascii"), headers, data[head.end() :])


class ShortWay:
    """Answers deliveries as the application does."""

    def __init__(self, api: Api, access: Access) -> None:
        self._api = api
        self._access = access

    def takes(
        self, transport: asyncio.BaseTransport, data: bytes
    ) -> Coroutine[Any, Any, bytes] | None:
        """What gives the answer to ``data``; None: that has to go the long way."""
        delivery = plain(data)
        return None if delivery is None else self._answer(transport, delivery)

    async def _answer(self, transport: asyncio.BaseTransport, delivery: Plain) -> bytes:
        sender = self._access.sender(
            transport, [value] if (value := delivery.headers.get("x-forwarded-for")) else []
        )
        hooks, app = self._api.hooks, delivery.app
        # Nothing of what can be signed by nobody is kept, as on the long way.
        body = delivery.body if hooks.has_rules(app) else b""
        try:
            with self._api.hook_room.share(sender.guest) as share:
                share.take(len(body))
                taken = await hooks.take(app, delivery.headers.items(), body, sender.via)
            status, document = told(taken)
        except BluegreenError as error:
            return _written(refusal(error))
        except Exception as error:
            return _written(unexpected(error, f"POST /hooks/{app}"))
        return _whole(status, _JSON, json.dumps(document).encode())


def _written(response: web.Response) -> bytes:
    body = (response.text or "").encode()
    own = ("Content-Type", "Content-Length")
    more = "".join(
        f"{name}: {value}\r\n" for name, value in response.headers.items() if name not in own
    )
    return _whole(response.status, response.headers["Content-Type"], body, more)


def _whole(status: int, media: str, body: bytes, more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{more}Content-Type: {media}\r\n"
        f"Content-Length: {len(body)}\r\nDate: {rfc822_formatted_time()}\r\n"
        "Server: bluegreen\r\n\r\n"
    )
    return head.encode("ascii") + body
