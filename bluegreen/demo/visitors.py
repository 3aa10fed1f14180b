"""The three kinds of visitors. Each goes on after a failure, which is counted and never hidden."""

from __future__ import annotations

import asyncio
import json

import aiohttp

from bluegreen.demo.load_settings import LoadSettings
from bluegreen.demo.report import Client, FailureKind
from bluegreen.demo.tally import Tally
from bluegreen.demo.wire import Connection, ExchangeFailed

RECONNECT_SECONDS = 0.05  # after a connection was refused
WEBSOCKET_CLOSE_SECONDS = 1.0  # for the server's half of the closing handshake


class Visitors:
    """What the visitors of one load do, each in a task of its own, until ``stopping`` is set.

    A visitor that is stopping finishes its exchange first, so the last request counts as well.
    """

    def __init__(self, settings: LoadSettings, tally: Tally) -> None:
        self._settings = settings
        self._tally = tally
        self._clock = asyncio.get_running_loop().time
        self.stopping = False

    async def post(self, index: int) -> None:
        """One connection that sends one POST after the other and keeps it open."""
        request = self._post_request(self._settings.host(index))
        connection: Connection | None = None
        served = False
        try:
            while not self.stopping:
                try:
                    if connection is None:
                        connection = await self._connect()
                        self._tally.connections_opened += 1
                    closes = await self._exchange(connection, request)
                    if not served:
                        served = True
                        self._tally.first_served()
                    await asyncio.sleep(self._settings.think)
                    if connection.ended and not closes and not self.stopping:
                        reason = "the connection was closed between two requests"
                        raise ExchangeFailed(FailureKind.CLOSED_IDLE, reason)
                except ExchangeFailed as failure:
                    self._tally.failed(Client.POST, failure.kind, failure.reason)
                    closes = True
                    if connection is None:
                        await asyncio.sleep(RECONNECT_SECONDS)
                if closes and connection is not None:
                    await connection.close()
                    connection = None
        finally:
            if connection is not None:
                await connection.close()

    async def websocket(self, session: aiohttp.ClientSession, index: int) -> None:
        """One WebSocket that stays open; each of its messages must come back."""
        served = False
        while not self.stopping:
            try:
                socket = await self._handshake(session, self._settings.host(index))
            except ExchangeFailed as failure:
                self._tally.failed(Client.WEBSOCKET, failure.kind, failure.reason)
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            self._tally.websockets_opened += 1
            self._tally.websockets_open += 1
            number = 0
            try:
                while not self.stopping:
                    number += 1
                    await self._echo(socket, f"{index}.{number};")
                    if not served:
                        served = True
                        self._tally.first_served()
                    await asyncio.sleep(self._settings.message_interval)
            except ExchangeFailed as failure:
                self._tally.failed(Client.WEBSOCKET, failure.kind, failure.reason)
            finally:
                self._tally.websockets_open -= 1
                await socket.close()

    async def download(self, index: int) -> None:
        """One slow download after the other, each on a connection of its own."""
        request = (
            f"GET {self._settings.download_target} HTTP/1.1\r\n"
            f"Host: {self._settings.host(index)}\r\nConnection: close\r\n\r\n"
        ).encode()
        served = False
        while not self.stopping:
            connection: Connection | None = None
            try:
                connection = await self._connect()
                await self._receive(connection, request)
                self._tally.downloads_done += 1
                if not served:
                    served = True
                    self._tally.first_served()
            except ExchangeFailed as failure:
                self._tally.failed(Client.DOWNLOAD, failure.kind, failure.reason)
                await asyncio.sleep(RECONNECT_SECONDS)
            finally:
                if connection is not None:
                    await connection.close()

    def _post_request(self, host: str) -> bytes:
        body = '{"from":"load"}'
        return (
            f"POST {self._settings.post_path} HTTP/1.1\r\nHost: {host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    async def _connect(self) -> Connection:
        return await Connection.open(*self._settings.address, timeout=self._settings.timeout)

    async def _exchange(self, connection: Connection, request: bytes) -> bool:
        """One POST and its answer; returns whether the server announced to close after it."""
        sent = self._clock()
        try:
            async with asyncio.timeout(self._settings.timeout):
                head = await connection.send(request)
                body = await connection.body(head)
        except TimeoutError as error:
            raise self._late() from error
        if head.status != 200:
            raise ExchangeFailed(FailureKind.STATUS, f"answered with status {head.status}")
        slot, version = _origin(body)
        self._tally.answered(slot, version, sent=sent)
        return head.closes

    async def _handshake(
        self, session: aiohttp.ClientSession, host: str
    ) -> aiohttp.ClientWebSocketResponse:
        url = self._settings.url.rstrip("/") + self._settings.websocket_path
        closing = aiohttp.ClientWSTimeout(ws_close=WEBSOCKET_CLOSE_SECONDS)
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await session.ws_connect(url, headers={"Host": host}, timeout=closing)
        except TimeoutError as error:
            raise ExchangeFailed(FailureKind.CONNECT, "no WebSocket handshake in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ExchangeFailed(FailureKind.CONNECT, f"no WebSocket: {error}") from error

    async def _echo(self, socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
        """Sends ``text`` and waits for a message that contains it."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                await socket.send_str(text)
                while text not in await _next_message(socket):
                    pass  # a message that the server sent on its own
        except TimeoutError as error:
            raise self._late() from error
        except (aiohttp.ClientError, OSError) as error:
            raise await self._ending(socket) from error
        self._tally.messages += 1

    async def _ending(self, socket: aiohttp.ClientWebSocketResponse) -> ExchangeFailed:
        """Why nothing can be sent any more: what the server's last message says."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                while True:
                    await _next_message(socket)
        except ExchangeFailed as failure:
            return failure
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return ExchangeFailed(FailureKind.CUT, f"the WebSocket ended: {error}")

    async def _receive(self, connection: Connection, request: bytes) -> None:
        """One whole download; every byte is waited for, but no longer than ``timeout``."""
        received = 0
        try:
            async with asyncio.timeout(self._settings.timeout):
                head = await connection.send(request)
            if head.status != 200:
                raise ExchangeFailed(FailureKind.STATUS, f"answered with status {head.status}")
            parts = connection.parts(head)
            part: bytes | None = b""
            while part is not None:
                received += len(part)
                async with asyncio.timeout(self._settings.timeout):
                    part = await anext(parts, None)
        except TimeoutError as error:
            raise self._late() from error
        if received != self._settings.download_bytes:
            reason = f"{received} bytes arrived of {self._settings.download_bytes}"
            raise ExchangeFailed(FailureKind.SHORT, reason)

    def _late(self) -> ExchangeFailed:
        return ExchangeFailed(FailureKind.TIMEOUT, f"no answer in {self._settings.timeout:g} s")


def _origin(body: bytes) -> tuple[str, str]:
    """Which slot and version answered, as the answer itself says."""
    try:
        answer = json.loads(body)
        return str(answer["slot"]), str(answer["version"])
    except (ValueError, KeyError, TypeError) as error:
        reason = f"the answer names no slot and version: {body[:60]!r}"
        raise ExchangeFailed(FailureKind.ANSWER, reason) from error


async def _next_message(socket: aiohttp.ClientWebSocketResponse) -> str:
    message = await socket.receive()
    if message.type is aiohttp.WSMsgType.TEXT:
        return str(message.data)
    if message.type is aiohttp.WSMsgType.BINARY:
        return bytes(message.data).decode(errors="replace")
    if message.type is aiohttp.WSMsgType.ERROR:
        raise ExchangeFailed(FailureKind.CUT, f"the WebSocket broke: {message.data}")
    code = message.data if message.type is aiohttp.WSMsgType.CLOSE else socket.close_code
    raise ExchangeFailed(FailureKind.CUT, f"closed by the server (code {code})")
