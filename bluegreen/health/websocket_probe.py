"""The websocket probe: a handshake proves little, so a message is sent and its answer read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import aiohttp

from bluegreen.config.placeholders import expand
from bluegreen.config.questions import WebSocketProbe
from bluegreen.health.answer import (
    Answer,
    Mask,
    connection_failure,
    no_answer,
    refused,
    seconds,
    shorten,
)
from bluegreen.health.client import LARGEST_ANSWER, RedirectedError, open_session, url
from bluegreen.health.entrance import Entrance
from bluegreen.model import Address

CLOSE_WAIT = aiohttp.ClientWSTimeout(ws_close=0.5)  # seconds for the other side's close


async def ask_websocket(
    probe: WebSocketProbe,
    address: Address,
    values: Mapping[str, str],
    timeout: float,
    mask: Mask,
    entrance: Entrance | None = None,
) -> Answer:
    """Handshake, ``send``, and messages read until one contains ``expect``.

    With an ``entrance`` it is asked there, and not at ``address``.
    ``timeout`` (seconds) bounds all of it. What is quoted goes through ``mask``. Raises
    UsageError for an unknown placeholder.
    """
    headers = {name: expand(text, values) for name, text in probe.headers.items()}
    heard: list[Mapping[str, str]] = []
    if entrance is not None:
        address = entrance.address
        headers = {**entrance.headers, **headers}
    target = url(address, expand(probe.path, values))
    expected = expand(probe.expect, values)
    message = None if probe.send is None else expand(probe.send, values)
    conversation = _Conversation(expected, message, mask)
    try:
        async with (
            asyncio.timeout(timeout),
            open_session(address, heard=heard.append) as session,
            session.ws_connect(
                target, headers=headers, max_msg_size=LARGEST_ANSWER, timeout=CLOSE_WAIT
            ) as connection,
        ):
            answer = await conversation.hold(connection)
    except TimeoutError:
        return conversation.out_of_time(timeout)
    except aiohttp.WSServerHandshakeError as error:
        reason = error.message if error.status == 101 else f"HTTP {error.status}"
        return refused(f"the handshake was refused: {mask(reason)}")
    except RedirectedError as error:
        return refused(f"the handshake was redirected: {error}")
    except (OSError, aiohttp.ClientError, ValueError) as error:
        return refused(mask(connection_failure(error)))
    if answer.passed and entrance is not None:
        doubt = entrance.doubt(heard[-1])
        return answer if doubt is None else refused(doubt)
    return answer


class _Conversation:
    """What is said over one WebSocket."""

    def __init__(self, expected: str, message: str | None, mask: Mask) -> None:
        self.expected = expected
        self.message = message
        self.mask = mask
        self.last: str | None = None  # the last message that was not the expected one, masked
        self.open = False
        self.answer: Answer | None = None

    async def hold(self, connection: aiohttp.ClientWebSocketResponse) -> Answer:
        self.open = True
        if self.message is not None:
            try:
                await connection.send_str(self.message)
            except ConnectionError:  # closed already: what it said with the close is read below
                self.message = None
        while self.answer is None:
            self.answer = self._judge(await connection.receive(), connection)
        return self.answer

    def _judge(
        self, received: aiohttp.WSMessage, connection: aiohttp.ClientWebSocketResponse
    ) -> Answer | None:
        if received.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            data = received.data
            text = data if isinstance(data, str) else bytes(data).decode(errors="replace")
            if self.expected in text:
                return Answer(passed=True, text=shorten(f"answered {self.mask(text)}"))
            self.last = self.mask(text)
            return None
        if received.type is aiohttp.WSMsgType.ERROR:
            return refused(f"the connection broke: {self.mask(str(received.data))}")
        when = "right after the handshake" if self.last is None else f"after {self._quoted()}"
        return refused(f"closed with {connection.close_code} {when}")

    def _quoted(self) -> str:
        return json.dumps(shorten(self.last or "", 80), ensure_ascii=False)

    def out_of_time(self, timeout: float) -> Answer:
        """What to say when the time was over; an answer that had come before it counts."""
        if self.answer is not None:
            return self.answer
        if not self.open:
            return no_answer(timeout)
        expected = json.dumps(shorten(self.expected, 60), ensure_ascii=False)
        came = "none came" if self.last is None else f"the last was {self._quoted()}"
        return refused(f"no message containing {expected} within {seconds(timeout)}: {came}")
