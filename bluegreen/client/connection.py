"""Requests to a daemon, over its socket or over TCP: every wait has an end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from bluegreen.errors import DaemonUnreachableError, RefusalError

CONNECT_LIMIT = 5.0  # seconds
QUIET_LIMIT = 40.0  # seconds between lines of events: a daemon that lives sends one every 15 s
PATIENCE = 30.0  # seconds to wait for a daemon that is being restarted
RETRY = 0.25  # seconds between attempts
_LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError)


class Connection:
    """One daemon. Raises RefusalError for what it refuses, DaemonUnreachableError without one."""

    def __init__(
        self, address: Path | str, token: str | None, tls: ssl.SSLContext | None,
        look_limit: float, change_limit: float,
    ) -> None:  # fmt: skip
        """``address`` is the path of a socket, or a URL; the limits are in seconds."""
        self._address = address
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._tls = tls
        self._look_limit = look_limit
        self._change_limit = change_limit
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        connector: aiohttp.BaseConnector
        if isinstance(self._address, Path):
            base, connector = "http://bluegreen", aiohttp.UnixConnector(str(self._address))
        else:
            base = self._address
            connector = aiohttp.TCPConnector(ssl=True if self._tls is None else self._tls)
        self._session = aiohttp.ClientSession(
            base, connector=connector, headers=self._headers, read_bufsize=2**20
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def look(self, path: str, **query: object) -> Any:
        """The document that a GET is answered with; parameters that are None are left out."""
        return await self._exchange("GET", path, self._look_limit, params=_texts(query))

    async def text(self, path: str) -> str:
        """That of a GET which is answered with no document."""
        answer: str = await self._exchange("GET", path, self._look_limit, taken=_text)
        return answer

    async def change(
        self, path: str, body: Mapping[str, object], key: str | None, *, method: str = "POST"
    ) -> Any:
        """That of a change. With its key it is sent again where the connection breaks off."""
        return await self._exchange(
            method, path, self._change_limit,
            json=body or None, headers={"Idempotency-Key": key or uuid.uuid4().hex},
        )  # fmt: skip

    async def _exchange(
        self, method: str, path: str, limit: float,
        taken: Callable[[aiohttp.ClientResponse], Awaitable[Any]] | None = None, **options: Any,
    ) -> Any:  # fmt: skip
        """``taken`` makes what is returned of an answer; None: it is a document."""
        timeout = aiohttp.ClientTimeout(total=limit, connect=CONNECT_LIMIT)
        lost_at: float | None = None
        while True:
            try:
                async with self._open_session.request(
                    method, path, timeout=timeout, **options
                ) as response:
                    return await (taken or _document)(response)
            except TimeoutError as error:
                raise self._silent(limit) from error
            except aiohttp.ClientConnectorError as error:
                if lost_at is None or time.monotonic() - lost_at > PATIENCE:
                    raise self._unreachable(error) from error
            except _LOST as error:
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > PATIENCE:
                    raise self._unreachable(error) from error
            except aiohttp.ClientError as error:
                raise self._unreachable(error) from error
            await asyncio.sleep(RETRY)

    async def lines(
        self, path: str, *, quiet_limit: float | None, headers: Mapping[str, str], **query: object
    ) -> AsyncIterator[str]:
        """The lines of a stream as they come, without their ends.

        Ends with the stream; raises DaemonUnreachableError where it breaks off, or is quiet for
        too long.
        """
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_LIMIT, sock_read=quiet_limit)
        try:
            async with self._open_session.get(
                path, params=_texts(query), headers=headers, timeout=timeout
            ) as response:
                if response.status >= 400:
                    await _document(response)
                rest = b""  # a line is as long as a service likes
                async for piece in response.content.iter_any():
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        yield line.decode()
                if rest:
                    yield rest.decode()
        except TimeoutError as error:
            raise self._silent(quiet_limit or CONNECT_LIMIT) from error
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from error

    @property
    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the client is not open: use it in `async with`")
        return self._session

    def _unreachable(self, error: aiohttp.ClientError) -> DaemonUnreachableError:
        return DaemonUnreachableError(
            f"no daemon answers on {self._address}: {error or type(error).__name__}",
            remedy="see that it runs, and that this is where it listens; what was asked for may "
            "have been done: see its history",
        )

    def _silent(self, limit: float) -> DaemonUnreachableError:
        return DaemonUnreachableError(
            f"the daemon on {self._address} has not answered within {limit:g} s",
            remedy="see whether it is well; what was asked for may yet be done: see its history",
        )


def _texts(query: Mapping[str, object]) -> dict[str, str]:
    return {
        name: str(int(value)) if isinstance(value, bool) else str(value)
        for name, value in query.items()
        if value is not None
    }


async def _document(response: aiohttp.ClientResponse) -> Any:
    """What was answered. Raises RefusalError, whoever has answered."""
    text = await response.text()
    document: Any = None
    with contextlib.suppress(ValueError):
        document = json.loads(text)
    if response.status < 400 and document is not None:
        return document
    if not isinstance(document, dict) or "detail" not in document:
        document = {
            "status": response.status,
            "detail": f"answered {response.status}, and not as bluegreen does: {text[:80]}",
            "remedy": "look at what is asked, and at what serves there",
        }
    raise RefusalError(document)


async def _text(response: aiohttp.ClientResponse) -> str:
    """The text that was answered. Raises RefusalError."""
    if response.status >= 400:
        await _document(response)
    return await response.text()
