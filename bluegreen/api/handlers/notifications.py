"""Receivers: how far they have been told, and whether they can be."""

from __future__ import annotations

from typing import cast

from aiohttp import web

from bluegreen.api.bodies import NotifyTestBody
from bluegreen.api.context import Api
from bluegreen.api.documents.notifications import Receiver, Receivers, ReceiverTest, ReceiverTests
from bluegreen.api.peer import note_about


async def receivers(api: Api, _: web.Request) -> web.Response:
    found = cast(list[Receiver], await api.notifications.overview())
    answer: Receivers = {"receivers": found}
    return web.json_response(answer)


async def tell_a_test(api: Api, request: web.Request, body: NotifyTestBody) -> web.Response:
    note_about(request, receiver=body.receiver)
    tests = cast(list[ReceiverTest], await api.notifications.test(body.receiver))
    answer: ReceiverTests = {"tests": tests}
    return web.json_response(answer)
