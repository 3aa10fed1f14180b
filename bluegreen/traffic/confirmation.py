"""nginx's own word on what it serves, asked through a unix socket that it listens on."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bluegreen.errors import TrafficError
from bluegreen.model import Slot
from bluegreen.remedies import Remedies

ANSWER_TIMEOUT = 2.0  # seconds for one question
ANSWER_BYTES = 4096
POLL = 0.005  # seconds between questions


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What nginx says of an app (``app`` is None: of its whole configuration)."""

    app: str | None
    slot: Slot | None
    closed: bool
    generation: str
    held: bool = False
    share: Slot | None = None  # to which the client goes that was asked for

    def serves(self, app: str, slot: Slot) -> bool:
        return self.app == app and self.slot is slot

    def __str__(self) -> str:
        state = "closed" if self.closed else "held" if self.held else "open"
        slot = self.slot.value if self.slot else "no slot"
        return f"{self.app or 'another app'}: {slot}, {state}, generation {self.generation}"


def parse_answer(text: str) -> Answer:
    """Raises ValueError when it is not an answer of ours."""
    document: Any = json.loads(text)
    try:
        slot = document.get("slot")
        return Answer(
            app=document["app"],
            slot=Slot(slot) if slot is not None else None,
            closed=bool(document.get("closed")),
            generation=str(document["generation"]),
            held=bool(document.get("held")),
            share=Slot(document["share"]) if document.get("share") else None,
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not an answer: {text[:200]}") from error


@dataclass(frozen=True)
class Confirmation:
    """Asks on ``socket``."""

    socket: Path
    remedies: Remedies

    async def ask(self, app: str | None, client: int | None = None) -> Answer:
        """See `ask_now`."""
        return await asyncio.to_thread(self.ask_now, app, client)

    def ask_now(self, app: str | None, client: int | None = None) -> Answer:
        """What nginx serves for ``app``; None asks for the generation of the whole. Blocking.

        ``client`` is the part of clients, from 1 to 100, of which it is asked where they go.

        An app that nginx does not know is answered for the whole. Raises TrafficError when
        nginx does not answer within 2 s.
        """
        try:
            return parse_answer(self._exchange(app or "_", client))
        except (OSError, ValueError) as error:
            raise TrafficError(
                "nginx does not answer" if isinstance(error, OSError) else "nginx answers oddly",
                detail=[f"{self.socket}: {error or 'no answer in time'}"],
                remedy=f"{self.remedies.see_nginx}, then: {self.remedies.take_up}",
            ) from error

    def expect_served(self, app: str) -> None:
        """Raises TrafficError unless nginx answers and has loaded ``app``. Blocking."""
        answer = self.ask_now(app)
        if answer.app != app:
            raise TrafficError(
                f"nginx has not loaded {app}",
                detail=[f"nginx says: {answer}"],
                remedy=f"see that nginx includes bluegreen's files, then: {self.remedies.take_up}",
            )

    async def until(
        self,
        app: str | None,
        agrees: Callable[[Answer], bool],
        *,
        what: str,
        timeout: float,
        client: int | None = None,
    ) -> None:
        """Ask until the answer ``agrees``, of ``client`` as `ask_now` has it.

        Raises TrafficError, with ``what`` was waited for and the last answer, after ``timeout``
        seconds.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            try:
                answer = await self.ask(app, client)
                if agrees(answer):
                    return
                last = [f"nginx says: {answer}"]
            except TrafficError as error:
                last = [error.message, *error.detail]
            if asyncio.get_running_loop().time() >= deadline:
                raise TrafficError(
                    f"nginx did not confirm within {timeout:g} s: {what}",
                    detail=last,
                    remedy=f"look at nginx's error log, then: {self.remedies.take_up}",
                )
            await asyncio.sleep(POLL)

    def _exchange(self, host: str, client: int | None) -> str:
        path = "/slot" if client is None else f"/slot?share={client}"
        deadline = time.monotonic() + ANSWER_TIMEOUT
        answer = b""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_TIMEOUT)
            connection.connect(os.fspath(self.socket))
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            while chunk := connection.recv(ANSWER_BYTES):
                answer += chunk
                if len(answer) > ANSWER_BYTES:
                    raise ValueError("more than an answer")
                # Too late is no time at all: a timeout of 0 would mean not to wait, another thing.
                connection.settimeout(max(1e-6, deadline - time.monotonic()))
        head, _, body = answer.decode(errors="replace").partition("\r\n\r\n")
        status = head.partition("\r\n")[0]
        if status.split()[1:2] != ["200"]:
            raise ValueError(f"the answer was {status or 'empty'}")
        return body
