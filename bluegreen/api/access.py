"""The door: who asks, by socket or by token, and what they were granted, before any handler."""

from __future__ import annotations

import asyncio
import functools
import grp
import ipaddress
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bluegreen.api.attempts import Attempts
from bluegreen.api.origin import client_address, guest_of, is_trusted, parsed
from bluegreen.api.peer import Caller, note_caller, require_app, require_whole_host
from bluegreen.api.route import is_for_people
from bluegreen.api.routes import route_of
from bluegreen.api.scopes import Scope, grant
from bluegreen.api.tokens import Keyring
from bluegreen.api.unix_peer import Peer, peer_of
from bluegreen.config.api_section import ApiSection, IpAddress
from bluegreen.errors import UnauthenticatedError
from bluegreen.store.tokens import Token

UNIX = "unix socket"
GROUPS_LIMIT = 5.0  # seconds in which the numbers of groups are found
# What is not about one app, and leaves out what its caller may not see.
_LEAVES_OUT = {
    "/v1/apps", "/v1/operations", "/v1/operations/{id}", "/v1/operations/{id}/events",
    "/v1/openapi.json", "/metrics",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Origin:
    """From where a request comes, and the trusted proxy that says so, if one does."""

    address: IpAddress
    proxy: IpAddress | None

    @property
    def via(self) -> str:
        return f"tcp from {self.address}"


@functools.lru_cache(maxsize=1024)  # most come from where others came from
def _from_outside(address: IpAddress) -> Caller:
    """Whoever asks for what is open to all."""
    return Caller(via=f"tcp from {address}", guest=guest_of(address))


@dataclass(frozen=True, kw_only=True)
class Rules:
    """``roles`` are scopes by the number of a group; None: whoever is let in has all."""

    settings: ApiSection
    roles: Mapping[int, Scope] | None = None

    def scopes_of(self, peer: Peer) -> frozenset[Scope]:
        """What a process on the control socket may do."""
        if self.roles is None or peer.uid in (0, os.geteuid()):
            return frozenset({Scope.ADMIN})
        return frozenset(self.roles[group] for group in peer.groups if group in self.roles)


async def rules_of(settings: ApiSection) -> tuple[Rules, list[str]]:
    """The rules of ``[api]``, and what of them does not count on this host."""
    if not settings.roles:
        return Rules(settings=settings), []
    roles: dict[int, Scope] = {}
    missing = []
    for name, role in settings.roles.items():
        try:
            async with asyncio.timeout(GROUPS_LIMIT):
                roles[(await asyncio.to_thread(grp.getgrnam, name)).gr_gid] = Scope(role)
        except KeyError:
            missing.append(f"[api.roles]: there is no group {name}; make it, then reload")
        except TimeoutError:
            missing.append(f"[api.roles]: the group {name} was not found in time; reload once more")
    return Rules(settings=settings, roles=roles), missing


def let_in(request: web.Request, token: Token, origin: Origin, via: str) -> None:
    """Note whose token it is that a request shows, and grant what that may do."""
    apps = None if token.apps is None else frozenset(token.apps)
    name = f"token {token.id}" + (f" ({token.name})" if token.name else "")
    guest = guest_of(origin.address)
    note_caller(request, Caller(name=name, via=via, apps=apps, guest=guest, token=token))
    grant(request, [Scope(scope) for scope in token.scopes])


class Access:
    """Decides on every request; ``rules`` may be replaced at any time."""

    def __init__(self, keyring: Keyring, attempts: Attempts) -> None:
        self._keyring = keyring
        self._attempts = attempts
        self.rules = Rules(settings=ApiSection())

    def middleware(self) -> Middleware:
        """In front of every route."""

        @web.middleware
        async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
            await self._let_in(request)
            return await handler(request)

        return door

    async def _let_in(self, request: web.Request) -> None:
        """Note who asks and what they may do. Raises UnauthenticatedError, NotFoundError, …"""
        transport = request.transport
        peer = None if transport is None else transport.get_extra_info("socket")
        if peer is None:
            raise ConnectionResetError("whoever asked has hung up")
        if peer.family == socket.AF_UNIX:
            found = peer_of(peer)
            note_caller(request, Caller(uid=found.uid, via=UNIX))
            grant(request, self.rules.scopes_of(found))
            return
        origin = self.origin(request)
        route = route_of(request)
        if is_for_people(request) or (route is not None and route.scope is None):
            note_caller(request, _from_outside(origin.address))
            grant(request, ())
            return
        await self._by_token(request, origin)
        if "app" in request.match_info:
            if (name := request.match_info["app"]) != "-":
                require_app(request, name)
        elif route is not None and route.path not in _LEAVES_OUT:
            require_whole_host(request)

    async def _by_token(self, request: web.Request, origin: Origin) -> None:
        given = request.headers.getall("Authorization", [])
        kind, _, text = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if kind.lower() != "bearer" or not text.strip():
            raise UnauthenticatedError(
                f"{request.method} {request.path}: nothing says who asks",
                remedy="send the header Authorization: Bearer TOKEN, once; `bluegreen token "
                "create` on the host makes a token",
            )
        let_in(request, await self.token_of(text.strip(), origin), origin, origin.via)

    async def token_of(self, text: str, origin: Origin) -> Token:
        """The valid token of a text; after failures of its origin, it has to wait to be compared.

        Raises UnauthenticatedError, OverloadedError.
        """
        token = self._keyring.remembered(text)
        if token is None:
            async with self._attempts.turn(origin.address, origin.proxy):
                token = await self._keyring.find(text)
                if token is None:
                    self._attempts.fail(origin.address, "no valid token", origin.proxy)
        if token is None:
            raise UnauthenticatedError(
                "this token is not valid: it is not what was shown, has expired, or was revoked",
                remedy="`bluegreen token list` on the host says which are valid, `bluegreen token "
                "create` makes another",
            )
        self._keyring.note_use(token, str(origin.address))
        return token

    def origin(self, request: web.Request) -> Origin:
        """From where a request over TCP comes."""
        return self._origin(request.transport, request.headers.getall("X-Forwarded-For", []))

    def sender(self, transport: asyncio.BaseTransport, forwarded: Sequence[str]) -> Caller:
        """Who delivers something, of whom no more is asked than from where it comes."""
        name = transport.get_extra_info("peername")
        if name is not None and not isinstance(name, tuple):
            return Caller(via=UNIX)
        return _from_outside(self._origin(transport, forwarded).address)

    def _origin(self, transport: asyncio.BaseTransport | None, forwarded: Sequence[str]) -> Origin:
        name = transport and transport.get_extra_info("peername")
        if not name:
            return Origin(address=ipaddress.ip_address(0), proxy=None)
        peer = parsed(name[0])
        proxies = self.rules.settings.trusted_proxies
        return Origin(
            address=client_address(peer, forwarded, proxies),
            proxy=peer if is_trusted(peer, proxies) else None,
        )
