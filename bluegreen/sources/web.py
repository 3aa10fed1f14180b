"""Requests to the servers that archives come from: bounded, and only where they may go.

Redirects are followed here and not by aiohttp, as each of them is checked like a URL of the app
file. What is asked through a proxy is checked by name only: the proxy looks the addresses up.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from types import TracebackType
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from bluegreen import __version__
from bluegreen.log_tail import printable
from bluegreen.sources.addresses import PublicSockets, is_public, literal
from bluegreen.sources.remote import redact
from bluegreen.sources.tokens import WebToken

MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_GONE = (404, 410)


class Kind(Enum):
    """What an operator is to make of a failure."""

    UNREACHABLE = "unreachable"  # the server is not there, or not itself
    MISSING = "missing"  # the server says that there is no such thing
    REFUSED = "refused"  # it leads where nothing is asked, or gives what is not taken


class WebError(Exception):
    """A request failed. ``passing``: whether another attempt may help."""

    def __init__(
        self, text: str, *, kind: Kind = Kind.UNREACHABLE, passing: bool = False, remedy: str = ""
    ) -> None:
        super().__init__(text)
        self.kind, self.passing, self.remedy = kind, passing, remedy


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds: for a connection with all that belongs to it, without a byte, and to a retry."""

    connect: float = 20.0
    stall: float = 30.0
    pause: float = 0.5  # before the second attempt, twice as long before each further one


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Where requests may go. ``hosts`` may be redirected to; ``private``: http and any address."""

    private: bool = False
    hosts: Sequence[str] = ()


def shown(url: str) -> str:
    """``url`` as it may be shown: without what follows a question mark, which may be a token."""
    parts = urlsplit(url)
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


class Web:
    """The requests of one download; use it as a context."""

    def __init__(self, reach: Reach, limits: Limits, token: WebToken | None = None) -> None:
        self._reach, self.limits, self._token = reach, limits, token
        self._sockets = PublicSockets()
        self._stack = contextlib.AsyncExitStack()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}  # by whether addresses are checked

    async def __aenter__(self) -> Web:
        # Reads the host's certificates, or those that SSL_CERT_FILE names.
        context = await asyncio.to_thread(ssl.create_default_context)
        timeout = aiohttp.ClientTimeout(
            total=None, connect=self.limits.connect, sock_connect=self.limits.connect,
            sock_read=self.limits.stall,
        )  # fmt: skip
        headers = {"User-Agent": f"bluegreen/{__version__}", "Accept-Encoding": "identity"}
        for checked in (True, False):
            connector = aiohttp.TCPConnector(
                ssl=context, resolver=aiohttp.ThreadedResolver(), use_dns_cache=False,
                socket_factory=self._sockets if checked else None,
            )  # fmt: skip
            self._sessions[checked] = await self._stack.enter_async_context(
                aiohttp.ClientSession(
                    connector=connector, timeout=timeout, headers=headers, auto_decompress=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                )
            )  # fmt: skip
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @contextlib.asynccontextmanager
    async def request(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer at the end of all redirects, unless it is an error. Raises WebError."""
        hosts = [urlsplit(url).hostname or "", *self._reach.hosts]
        for _ in range(MOST_REDIRECTS + 1):
            self._check(url)
            response = await self._ask(url, method, headers or {})
            try:
                if response.status not in _REDIRECTS:
                    _check_status(url, response.status)
                    yield response
                    return
                url = self._next(url, response.headers.get("Location", ""), hosts)
            finally:
                response.close()
        raise WebError(
            f"{shown(url)}: more than {MOST_REDIRECTS} redirects", kind=Kind.REFUSED,
            remedy="name the address at their end in [source]",
        )  # fmt: skip

    async def text(
        self, url: str, *, most_bytes: int, headers: Mapping[str, str] | None = None
    ) -> str:
        """What is at ``url``, as text. Raises WebError."""
        async with self.request(url, headers=headers) as response:
            content = b""
            while piece := await read_some(response, url):
                content += piece
                if len(content) > most_bytes:
                    raise WebError(
                        f"{shown(url)} is larger than {most_bytes} bytes", kind=Kind.REFUSED,
                        remedy="see what is at that address",
                    )  # fmt: skip
        return content.decode(errors="surrogateescape")

    async def _ask(
        self, url: str, method: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        proxy = proxy_for(url)
        session = self._sessions[proxy is None and not self._reach.private]
        self._sockets.refused.clear()
        if self._token is not None:  # for this address; a redirect may lead to another server
            headers = {**headers, **self._token.headers(url)}
        try:
            with failures(url):
                return await session.request(
                    method, URL(url, encoded=True), headers=headers, allow_redirects=False,
                    proxy=proxy,
                )  # fmt: skip
        except WebError:
            if self._sockets.refused:
                raise _private(url, self._sockets.refused[0]) from None
            raise

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and self._reach.private):
            raise WebError(
                f"{shown(url)} is not https", kind=Kind.REFUSED,
                remedy="have it served by https, or set allow_private = true in [source]",
            )  # fmt: skip
        address = literal(parts.hostname or "")
        if address is not None and not self._reach.private and not is_public(address):
            raise _private(url, str(address))

    def _next(self, url: str, location: str, hosts: Sequence[str]) -> str:
        """Where a redirect leads, if it may. Raises WebError."""
        try:
            # Percent-encoded as it must be for a request, and without what stays in the client.
            target = str(URL(urljoin(url, location)).with_fragment(None))
            host = urlsplit(target).hostname or ""
            _ = urlsplit(target).port
        except ValueError:
            target, host = "", ""
        if not location or not host or "@" in urlsplit(target).netloc:
            raise WebError(
                f"{shown(url)} redirects to nowhere", kind=Kind.REFUSED,
                remedy="see what is at that address",
            )  # fmt: skip
        if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
            raise WebError(
                f"{shown(url)} redirects away from https, to {shown(target)}", kind=Kind.REFUSED,
                remedy="name an address in [source] that stays with https",
            )  # fmt: skip
        if not any(fnmatchcase(host, pattern.strip("[]")) for pattern in hosts):
            raise WebError(
                f"{shown(url)} redirects to another host, {printable(host)}", kind=Kind.REFUSED,
                remedy=f'if that is right, add allowed_hosts = ["{printable(host)}"] to [source]',
            )  # fmt: skip
        return target


@contextlib.contextmanager
def failures(url: str) -> Iterator[None]:
    """What aiohttp and the kernel raise, as WebError."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise WebError(
            f"{shown(url)}: its certificate is not valid: {error.certificate_error}",
            remedy="see to the certificate, or to the clock and the authorities of this host",
        ) from error
    except aiohttp.ClientHttpProxyError as error:
        raise WebError(
            f"{shown(url)}: the proxy answers {error.status}",
            passing=error.status >= 500,
            remedy="see to HTTPS_PROXY in the daemon's environment, and to what that lets through",
        ) from error
    except ValueError as error:  # of a URL that only the request itself finds unusable
        raise WebError(
            f"{shown(url)}: {_printable(error)}",
            kind=Kind.REFUSED,
            remedy="correct the address in [source]",
        ) from error
    except TimeoutError as error:
        raise WebError(f"{shown(url)}: it does not answer in time", passing=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise WebError(f"{shown(url)}: {_printable(error)}", passing=True) from error


def _printable(error: Exception) -> str:
    """What it says, without credentials of URLs and what follows their question marks."""
    return re.sub(r"\?\S*", "", redact(printable(str(error)))) or type(error).__name__


async def read_some(response: aiohttp.ClientResponse, url: str) -> bytes:
    """The next bytes of an answer, none at its end. Raises WebError."""
    with failures(url):
        return await response.content.readany()


def _check_status(url: str, status: int) -> None:
    if status in _GONE:
        raise WebError(f"{shown(url)}: there is no such file ({status})", kind=Kind.MISSING)
    if status >= 400 and status != 416:
        passing = status >= 500 or status in (408, 429)
        remedy = "name a token that may read it in [source]" if status in (401, 403) else ""
        raise WebError(f"{shown(url)}: the server answers {status}", passing=passing, remedy=remedy)


def _private(url: str, address: str) -> WebError:
    return WebError(
        f"{shown(url)} leads to {address}, which is not a public address",
        kind=Kind.REFUSED,
        remedy="if releases are to come from there, set allow_private = true in [source]",
    )


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for ``url`` (HTTPS_PROXY, NO_PROXY, …)."""
    proxies = urllib.request.getproxies_environment()
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")
