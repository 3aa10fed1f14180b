"""Requests to receivers: bounded, to public addresses unless others are allowed, never redirected.

What is wrong is said without the address, which may hold a secret.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from bluegreen import __version__
from bluegreen.config.notify_section import refuse_address
from bluegreen.config.refusal import ValueRefusedError
from bluegreen.notifications.answer import Answer, answer_to, failed
from bluegreen.notifications.hiding import hide
from bluegreen.sources.addresses import PublicSockets, is_public, literal
from bluegreen.sources.web import proxy_for

CONNECT_LIMIT = 10.0  # seconds for a connection, with names looked up and TLS agreed on
ASK_LIMIT = 20.0  # seconds for all of a request
MOST_READ = 256 * 1024  # bytes of an answer


@dataclass(frozen=True)
class Reply:
    """An answer, and what is in its body where that is JSON."""

    answer: Answer
    status: int = 0
    document: Any = field(default=None, repr=False)


class Outbound:
    """Asks one receiver at a time, with a connection of its own for each request."""

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._context: ssl.SSLContext | None = None

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        secrets: Collection[str],
    ) -> Reply:
        """What came of it; nothing is raised, whatever the other side does.

        ``secrets`` are kept out of what it says.
        """
        if (refused := self._refusal(url)) is not None:
            return Reply(failed(refused))
        sockets = PublicSockets()
        try:
            async with asyncio.timeout(ASK_LIMIT):
                return await self._ask(sockets, method, url, headers, body, secrets)
        except aiohttp.ClientConnectorCertificateError as error:
            said = f"its certificate is not valid: {error.certificate_error}"
        except TimeoutError:
            said = "it does not answer in time"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            said = _in_words(error)
        if sockets.refused:
            said = _not_public(sockets.refused[0])
        return Reply(failed(said))

    async def _ask(
        self,
        sockets: PublicSockets,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        secrets: Collection[str],
    ) -> Reply:
        if self._context is None:
            self._context = await asyncio.to_thread(ssl.create_default_context)
        proxy = proxy_for(url)
        connector = aiohttp.TCPConnector(
            ssl=self._context, resolver=aiohttp.ThreadedResolver(), use_dns_cache=False,
            socket_factory=None if self._private or proxy else sockets, force_close=True,
        )  # fmt: skip
        async with (
            aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=ASK_LIMIT, connect=CONNECT_LIMIT),
                headers={"User-Agent": f"bluegreen/{__version__}", "Accept-Encoding": "identity"},
            ) as session,
            session.request(
                method, URL(url, encoded=True), headers=headers, data=body, proxy=proxy,
                allow_redirects=False,
            ) as response,
        ):  # fmt: skip
            content = await _read(response)
            text = hide(content.decode(errors="replace"), secrets)
            answer = answer_to(response.status, response.headers, text, time.time())
            return Reply(answer, response.status, _json(content))

    def _refusal(self, url: str) -> str | None:
        try:
            refuse_address(url, private=self._private)
        except ValueRefusedError as error:
            return error.wrong
        address = literal(urlsplit(url).hostname or "")
        if address is not None and not self._private and not is_public(address):
            return _not_public(str(address))
        return None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """As much of the answer as is ever looked at."""
    content = b""
    while len(content) < MOST_READ and (piece := await response.content.readany()):
        content += piece
    return content[:MOST_READ]


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _not_public(address: str) -> str:
    return (
        f"it is at {address}, which is not a public address: if it is in a network of your own, "
        "set allow_private = true"
    )


def _in_words(error: Exception) -> str:
    """Without the address: only what the system or the protocol says."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known: it cannot be looked up"
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be reached: {error.strerror}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it ended the connection without an answer"
    return f"it cannot be asked ({type(error).__name__})"
