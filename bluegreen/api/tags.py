"""ETags (RFC 9110, 8.8.3): whoever asks again is told that nothing has changed, in few bytes."""

from __future__ import annotations

import hashlib

from aiohttp import web

_LENGTH = 32  # hexadecimal digits


def tagged(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """The response with its ETag, or 304 where ``If-None-Match`` names it."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    tag = hashlib.sha256(response.body).hexdigest()[:_LENGTH]
    known = {one.value for one in request.if_none_match or ()}
    if known & {tag, "*"}:
        response = web.Response(status=304)
    response.etag = tag
    response.headers["Cache-Control"] = "private, no-cache"  # may be kept, and is to be asked for
    return response
