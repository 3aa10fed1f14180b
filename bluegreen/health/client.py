"""The HTTP client of the probes: one connection an attempt, to one place, never elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import aiohttp
from yarl import URL

from bluegreen.model import Address

LARGEST_ANSWER = 64 * 1024  # bytes


class RedirectedError(Exception):
    """A handshake was answered with a redirect, which is not followed."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


async def _refuse_redirect(
    _session: aiohttp.ClientSession,
    _context: SimpleNamespace,
    params: aiohttp.TraceRequestRedirectParams,
) -> None:
    params.response.close()
    raise RedirectedError(params.response.status)


def open_session(
    address: Address, *, heard: Callable[[Mapping[str, str]], None] | None = None
) -> aiohttp.ClientSession:
    """A session that reaches ``address`` only; the caller closes it.

    ``heard`` is given the headers of each answer, and of a handshake's.

    No connection is kept (an idle one blocks a single-threaded server), no proxy of the
    environment, cookie or redirect is followed. Raises RedirectedError where the library would
    follow a redirect unasked: in a WebSocket handshake.
    """
    connector: aiohttp.BaseConnector
    if address.socket is not None:
        connector = aiohttp.UnixConnector(str(address.socket), force_close=True)
    else:
        connector = aiohttp.TCPConnector(force_close=True)
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    if heard is not None:

        async def tell(
            _session: aiohttp.ClientSession,
            _context: SimpleNamespace,
            params: aiohttp.TraceRequestEndParams,
        ) -> None:
            heard(params.response.headers)

        trace.on_request_end.append(tell)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[trace],
        trust_env=False,
    )


def url(address: Address, path: str) -> URL:
    """``path`` of what listens at ``address``, sent exactly as written."""
    host = "localhost" if address.port is None else str(address)
    return URL(f"http://{host}{path}", encoded=True)
