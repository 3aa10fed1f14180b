"""Answers that go on for as long as there is something to say."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

from aiohttp import web

from bluegreen.api.peer import caller_of
from bluegreen.api.tokens import Keyring

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def streaming(
    request: web.Request, content_type: str, keyring: Keyring
) -> AsyncIterator[web.StreamResponse]:
    """A response under way; whatever goes wrong in its middle is logged and cuts the connection.

    The status is out by then, and no other answer can follow: only an end without the last chunk
    tells whoever asked that this was not all. So it ends where the token is revoked, or expires.
    """

    def cut() -> None:
        if request.transport is not None:
            request.transport.abort()

    response = web.StreamResponse(
        headers={"Content-Type": content_type, "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    try:
        with keyring.while_valid(caller_of(request).token, cut):
            yield response
    except ConnectionError:
        raise  # whoever asked has hung up
    except Exception:
        log.exception("%s %s broke off", request.method, request.path)
        if request.transport is not None:
            request.transport.close()
