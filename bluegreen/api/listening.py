"""Where the API listens: the control socket always, and an address where ``[api]`` names one."""

from __future__ import annotations

import asyncio
import grp
import logging
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from bluegreen.api.access import Access, Rules, rules_of
from bluegreen.api.connections import BACKLOG, Connection, Guest, Listener, Proxy, Room, ShortWay
from bluegreen.api.control_socket import ControlSocket
from bluegreen.api.origin import guest_of, is_trusted, parsed
from bluegreen.api.unix_peer import uid_of
from bluegreen.config.api_section import ApiSection, IpAddress, Tls
from bluegreen.config.document import where
from bluegreen.errors import RefusedError
from bluegreen.processes import tell_if_failed

log = logging.getLogger(__name__)

RETRY = 5.0  # seconds after which an address that could not be had is tried again
# Of those from outside the process has descriptors left for everything else.
OUTSIDE = Room(in_all=256, of_one=64, of_proxy=192)
INSIDE = Room(in_all=512, of_one=128)
_OPTIONS: dict[str, Any] = {
    "access_log": None,
    "auto_decompress": False,
}  # `as_problems` refuses what is encoded
_INSIDE_LINE = 512 * 1024  # bytes of a request's first line; what is long is refused in words
_OUTSIDE_LINE = 16 * 1024  # the same from outside
_OUTSIDE_HEADERS = 64


@dataclass(frozen=True, kw_only=True)
class Outside:
    """An address that is listened on."""

    address: tuple[IpAddress, int]
    listener: Listener
    socket: socket.socket


@dataclass(kw_only=True)
class Prepared:
    """New settings, with all that can fail done. ``bound`` is a new address, if it is one."""

    rules: Rules
    tls: ssl.SSLContext | None
    bound: socket.socket | None
    warnings: list[str]

    def discard(self) -> None:
        """Let go of an address that was not taken up."""
        if self.bound is not None:
            self.bound.close()


class Listening:
    """Both listeners, and the settings that they follow."""

    def __init__(
        self,
        server: web.Server,
        access: Access,
        control: ControlSocket,
        short_way: ShortWay,
        file: Path,
    ) -> None:
        self._file = file  # in which the settings are
        self._server = server
        self._short_way = short_way
        self._access = access
        self._control = control
        self._inside = Listener(control.listener, self._maker(_INSIDE_LINE), _user, INSIDE)
        self._outside: Outside | None = None
        self._tls: ssl.SSLContext | None = None
        self._warnings: list[str] = []
        self._trouble: str | None = None  # why there is no address, where there is to be one
        self._trying: asyncio.Task[None] | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of ``[api]`` is not as it says."""
        trouble = () if self._trouble is None else (self._trouble,)
        return (*self._warnings, *trouble)

    async def open(self, settings: ApiSection) -> None:
        """Answer on the control socket, and on the address as soon as that can be had."""
        rules, warnings = await rules_of(settings)
        warnings += await self._give_to(settings.group)
        self._access.rules, self._warnings = rules, warnings
        for warning in warnings:
            log.warning("%s", warning)
        self._inside.open()
        if not await self._try_address(settings):
            self._try(settings)

    async def prepare(self, settings: ApiSection) -> Prepared:
        """See whether new settings can be followed; nothing is changed. Raises RefusedError."""
        rules, warnings = await rules_of(settings)
        tls = await self._context(settings.tls)
        address = settings.address
        # One that cannot be had yet is no reason to refuse everything else, and two addresses that
        # share a port may be one to the kernel.
        known = self._access.rules.settings.address == address
        shared = self._outside is not None and address is not None and (
            self._outside.address[1] == address[1]
        )  # fmt: skip
        bound = None if address is None or known or shared else await self._bound(address)
        return Prepared(rules=rules, tls=tls, bound=bound, warnings=warnings)

    async def follow(self, prepared: Prepared) -> None:
        """Let new settings count from the next connection and the next request on."""
        settings = prepared.rules.settings
        warnings = [*prepared.warnings, *await self._give_to(settings.group)]
        if self._trying is not None:
            self._trying.cancel()
        self._access.rules, self._tls = prepared.rules, prepared.tls
        self._warnings, self._trouble = warnings, None
        if self._outside is not None and self._outside.address != settings.address:
            self._close_outside()
        if settings.address is not None and prepared.bound is not None:
            self._listen(settings.address, prepared.bound)
            prepared.bound = None
        elif self._outside is None and not await self._try_address(settings):
            self._try(settings)

    async def close(self) -> None:
        """Take no more connections."""
        if self._trying is not None:
            self._trying.cancel()
        self._inside.close()
        if not self._control.handed_over:  # else they wait there for the next daemon
            self._control.listener.close()
        self._close_outside()

    # -- the address ------------------------------------------------------------------------

    async def _try_address(self, settings: ApiSection) -> bool:
        """Whether it is listened on now, as far as it is to be."""
        if settings.address is None:
            return True
        try:
            self._tls = await self._context(settings.tls)
            bound = await self._bound(settings.address)
        except RefusedError as error:
            if self._trouble is None:
                log.error("%s", "; ".join(error.lines()))
            self._trouble = f"{error.message}; {error.remedy}"
            return False
        self._trouble = None
        self._listen(settings.address, bound)
        return True

    async def _context(self, tls: Tls | None) -> ssl.SSLContext | None:
        """Raises RefusedError."""
        return None if tls is None else await asyncio.to_thread(_load, tls, self._file)

    async def _bound(self, address: tuple[IpAddress, int]) -> socket.socket:
        """Raises RefusedError."""
        try:
            return _bind(address)
        except OSError as error:
            at = await asyncio.to_thread(where, self._file, ("api", "listen"))
            host, port = address
            raise RefusedError(
                f"{at}: {host} port {port} cannot be listened on: {error.strerror}",
                remedy="name a port that is free (above 1023 where the daemon is not root) on an "
                "address of this host; it is tried again meanwhile",
            ) from error

    def _try(self, settings: ApiSection) -> None:
        self._trying = asyncio.create_task(self._keep_trying(settings), name="listen on TCP")
        self._trying.add_done_callback(tell_if_failed)

    async def _keep_trying(self, settings: ApiSection) -> None:
        """Until an address that comes up after the daemon can be had: what serves is not ended."""
        while True:
            if await self._try_address(settings):
                return
            await asyncio.sleep(RETRY)

    def _listen(self, address: tuple[IpAddress, int], bound: socket.socket) -> None:
        listener = Listener(
            bound, self._maker(_OUTSIDE_LINE, max_headers=_OUTSIDE_HEADERS), self._from_where,
            OUTSIDE, lambda: self._tls,
        )  # fmt: skip
        listener.open()
        self._outside = Outside(address=address, listener=listener, socket=bound)
        log.info("the API listens on %s port %d%s", *address, "" if self._tls is None else ", TLS")

    def _close_outside(self) -> None:
        if self._outside is not None:
            self._outside.listener.close()
            self._outside.socket.close()
            self._outside = None

    def _from_where(self, connection: socket.socket) -> Guest:
        """The address; a proxy limits its own guests, but not every process of its host."""
        address = parsed(connection.getpeername()[0])
        proxies = self._access.rules.settings.trusted_proxies
        return Proxy(str(address)) if is_trusted(address, proxies) else guest_of(address)

    def _maker(self, line: int, **options: Any) -> Callable[[Callable[[], None]], Connection]:
        return partial(
            Connection, self._server, short_way=self._short_way, max_line_size=line, **options,
            **_OPTIONS,
        )  # fmt: skip

    # -- the control socket -----------------------------------------------------------------

    async def _give_to(self, group: str | None) -> list[str]:
        """Let ``group`` use the control socket; what is in the way of that."""
        if group is None:
            return []
        path = self._control.path
        try:
            await asyncio.to_thread(_give, path, group)
        except KeyError:
            return [f"[api] group: there is no group {group}; make it, then reload"]
        except OSError as error:
            remedy = (
                f"name it by SocketGroup={group} in bluegreen.socket (systemctl edit "
                "bluegreen.socket), then: systemctl restart bluegreen.socket bluegreen.service"
            )
            if not self._control.handed_over:
                remedy = (
                    "let the daemon's user be a member of it, then restart the daemon; on a host "
                    f"where systemd starts it, {remedy}"
                )
            what = f"[api] group: {path} cannot be given to the group {group}"
            return [f"{what}: {error.strerror}; {remedy}"]
        return []


def _give(path: Path, group: str) -> None:
    number = grp.getgrnam(group).gr_gid
    if os.stat(path).st_gid != number:
        os.chown(path, -1, number)


def _user(connection: socket.socket) -> Guest:
    """Root is not counted: nobody keeps root from switching back."""
    return uid_of(connection) or None


def _bind(address: tuple[IpAddress, int]) -> socket.socket:
    """Raises OSError."""
    host, port = address
    family = socket.AF_INET if host.version == 4 else socket.AF_INET6
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((str(host), port))
        made.listen(BACKLOG)  # two may have bound it: who listens first has it
    except OSError:
        made.close()
        raise
    return made


def _load(tls: Tls, file: Path) -> ssl.SSLContext:
    """``file`` names them. Raises RefusedError."""
    for key, path in (("certificate", tls.certificate), ("key", tls.key)):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            remedy = "name a PEM file that is there"
            if isinstance(error, PermissionError):
                remedy = "let the daemon's user, and nobody else, read it"
            raise RefusedError(
                f"{where(file, ('api', 'tls', key))}: {path} cannot be read: {error.strerror}",
                remedy=f"{remedy}; then reload",
            ) from error
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except (OSError, ValueError) as error:
        raise RefusedError(
            f"{where(file, ('api', 'tls'))}: {tls.certificate} and {tls.key} cannot be used: "
            f"{error}",
            remedy="name a certificate and the key that belongs to it, both PEM, the key without "
            "a password; then reload",
        ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")
