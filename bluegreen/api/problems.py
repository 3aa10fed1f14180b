"""Errors as ``application/problem+json`` (RFC 9457), never with a stack trace."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from bluegreen.errors import BluegreenError

log = logging.getLogger(__name__)

ADDRESS_LIMIT = 4096  # bytes of path and query
LONGEST_WHY = 200  # characters of what is wrong with a head

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


_HEADERS = {
    401: {"WWW-Authenticate": 'Bearer realm="bluegreen"'},
    429: {"Retry-After": "5"},
}


def problem(error: BluegreenError) -> web.Response:
    """The error as its response; ``exit_status`` is what a command ends with on it."""
    response = _response(
        error.http_status, error.kind, error.message,
        remedy=error.remedy, evidence=list(error.detail), exit_status=error.exit_status,
    )  # fmt: skip
    response.headers.update(_HEADERS.get(error.http_status, {}))
    return response


def _what_there_is(error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"this path takes {' and '.join(sorted(error.allowed_methods))}"
    return "GET /v1/apps lists the apps; docs/api.md of bluegreen has every path"


def _response(status: int, kind: str, detail: str, **extra: object) -> web.Response:
    body = {
        "type": f"urn:bluegreen:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "kind": kind,
        "detail": detail,
        **extra,
    }
    return web.Response(
        status=status, text=json.dumps(body), content_type="application/problem+json"
    )


def unheard(status: int, why: str) -> web.Response:
    """Of what never came to a route, as it is not HTTP as it should be."""
    response = _response(
        status, "http", " ".join(why.split())[:LONGEST_WHY] or HTTPStatus(status).phrase,
        remedy="ask by HTTP/1.1 as docs/api.md of bluegreen has it", exit_status=2,
    )  # fmt: skip
    response.headers["Server"] = "bluegreen"  # no route's response is prepared
    return response


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of a handler into a problem document."""
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() != "identity":
        return _response(
            415, "usage", f"{request.method} {request.path}: a body in the encoding {encoding!r}",
            remedy="send plain JSON, without Content-Encoding", exit_status=2,
        )  # fmt: skip
    if (length := len(request.raw_path)) > ADDRESS_LIMIT:
        return _response(
            414, "usage", f"what was asked for is {length} bytes long",
            remedy=f"names and numbers are short: ask in at most {ADDRESS_LIMIT} bytes",
            exit_status=2,
        )  # fmt: skip
    try:
        return await handler(request)
    except BluegreenError as error:
        return problem(error)
    except ConnectionError:
        log.debug("%s %s: whoever asked has hung up", request.method, request.path)
        return web.Response()
    except web.HTTPException as error:
        return _response(
            error.status, "http", f"{request.method} {request.path}: {error.reason}",
            remedy=_what_there_is(error), exit_status=2,
        )  # fmt: skip
    except Exception as error:
        return unexpected(error, f"{request.method} {request.path}")


def unexpected(error: Exception, asked: str) -> web.Response:
    """The answer to what a defect has kept from being done; its trace is in the log."""
    log.error("%s failed", asked, exc_info=error)
    return _response(
        500, "internal", f"unexpected {type(error).__name__}: {error}",
        remedy="this is a defect of bluegreen; the daemon's log has its trace", exit_status=1,
    )  # fmt: skip
