"""The administrator's own site that serves the app now, and how it can be kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.survey.nginx_file import Configuration, Directive, read_configuration
from bluegreen.survey.nouns import FoundRoute, FoundService, FoundSite

# See HostFiles and HostLayout in bluegreen.host.places.
ALL = "/etc/nginx/conf.d/bluegreen.conf"
SNIPPETS = "/etc/nginx/bluegreen/snippets"
_PASS = re.compile(r"http://(?P<place>unix:[^:]+:?|[^/$]+)(?P<uri>/[^$]*)?")
_PATH = re.compile(r"/[A-Za-z0-9._~@%/-]*")  # see Location in bluegreen.config.values
_TIME = re.compile(r"([0-9]{1,6})(ms|s|m|h|d|)")
_LOOPBACK = ("localhost", "0.0.0.0", "[::1]", "[::]")  # noqa: S104 - as a site may write it
# What a location of bluegreen's does as well, so that it can stand in for one of these.
_ORDINARY = frozenset({
    "proxy_pass", "proxy_http_version", "proxy_set_header", "proxy_read_timeout",
    "proxy_send_timeout", "proxy_connect_timeout", "proxy_redirect", "client_max_body_size",
})  # fmt: skip
_HEADERS = {
    "host": ("$host", "$http_host"), "x-real-ip": ("$remote_addr",),
    "x-forwarded-for": ("$proxy_add_x_forwarded_for",), "x-forwarded-proto": ("$scheme",),
    "x-forwarded-host": ("$host", "$http_host"), "upgrade": (), "connection": (),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Proxied:
    """A location, or what is inside of it, that leads to a service of the app."""

    service: str
    location: Directive
    passing: Directive
    settings: Mapping[str, Directive]  # in force there, by name; the headers apart
    headers: tuple[Directive, ...]
    nested: bool
    server: int

    @property
    def path(self) -> str:
        return self.location.args[-1]

    @property
    def special(self) -> str | None:
        """Why a location of bluegreen's could not stand in for it; None when one can."""
        at = f"{self.location.file}:{self.location.line}"
        if len(self.location.args) > 2 or self.location.args[0] in ("=", "~", "~*"):
            return f"the location in {at} is no plain prefix"
        if self.nested or not _PATH.fullmatch(self.path):
            return f"the location in {at} is not one that a route can be"
        if (match := _PASS.fullmatch(self.passing.args[0])) and match["uri"]:
            return f"{at} changes the path on the way ({self.passing.args[0]})"
        for inner in self.location.block or ():
            if inner.name not in _ORDINARY or inner.block is not None:
                return f"{inner.name} in {inner.file}:{inner.line}"
        for header in self.headers:
            values = _HEADERS.get(header.args[0].lower())
            if values is None or (values and header.args[1:2] and header.args[1] not in values):
                return f"the header {header.args[0]} in {header.file}:{header.line}"
        return None

    @property
    def route(self) -> FoundRoute:
        timeout = self.settings.get("proxy_read_timeout")
        match = _TIME.fullmatch(timeout.args[0]) if timeout and timeout.args else None
        return FoundRoute(
            path=self.path,
            service=self.service,
            websocket=any(header.args[0].lower() == "upgrade" for header in self.headers),
            timeout=f"{match[1]}{match[2] or 's'}" if match and int(match[1]) else None,
        )


def find_site(
    root: Path, app: str, services: Sequence[FoundService], unread: list[str]
) -> FoundSite | None:
    """The site under ``root`` that proxies to where ``app``'s services answer; None without one.

    Blocking. Reads what nginx reads; ``unread`` gathers what of it could not be read.
    """
    places = {s.replaces: s.name for s in services if s.replaces is not None}
    configuration = read_configuration(root, unread) if places else None
    if configuration is None:
        return None
    proxied = [one for http in configuration.directives if http.name == "http"
               for one in _proxied_in(http, places)]  # fmt: skip
    if not proxied:
        return None
    why = _why_upstream(proxied)
    edits = _passes(app, proxied) if why else _blocks(app, proxied)
    return FoundSite(
        files=tuple(dict.fromkeys(one.location.file for one in proxied)),
        mode="upstream" if why else "snippet",
        why=why or "what its locations do, the routes below do as well",
        routes=tuple({one.path: one.route for one in proxied}.values()) if not why else (),
        edits=(*_missing_include(configuration), *edits),
        max_body=_max_body(proxied),
    )


def _proxied_in(http: Directive, places: Mapping[str, str]) -> Iterator[_Proxied]:
    upstreams = {
        one.args[0]: [_address(server.args[0]) for server in one.inside("server") if server.args]
        for one in http.inside("upstream")
        if one.args
    }
    for number, server in enumerate(http.inside("server")):
        settings, headers = _in_force(server, *_in_force(http, {}, ()))
        for location in server.inside("location"):
            if not location.args:
                continue
            inner = _in_force(location, settings, headers)
            for passing, nested in _passings(location):
                for place in _leads_to(passing, upstreams):
                    if place in places:
                        yield _Proxied(
                            service=places[place], location=location, passing=passing,
                            settings=inner[0], headers=inner[1], nested=nested, server=number,
                        )  # fmt: skip
                        break


def _in_force(
    block: Directive, settings: Mapping[str, Directive], headers: tuple[Directive, ...]
) -> tuple[Mapping[str, Directive], tuple[Directive, ...]]:
    """What is in force inside of ``block``; headers are taken over only where it sets none."""
    own = tuple(header for header in block.inside("proxy_set_header") if header.args)
    plain = {one.name: one for one in block.block or () if one.block is None}
    return {**settings, **plain}, own or headers


def _passings(location: Directive, *, nested: bool = False) -> Iterator[tuple[Directive, bool]]:
    for inner in location.block or ():
        if inner.name == "proxy_pass" and inner.args:
            yield inner, nested
        elif inner.block is not None:
            yield from _passings(inner, nested=True)


def _leads_to(passing: Directive, upstreams: Mapping[str, list[str]]) -> list[str]:
    match = _PASS.fullmatch(passing.args[0])
    if match is None:
        return []
    return upstreams.get(match["place"]) or [_address(match["place"])]


def _address(text: str) -> str:
    """As ``replaces`` has it."""
    if text.startswith("unix:"):
        return text.removeprefix("unix:").rstrip(":")
    host, _, port = text.rpartition(":")
    return f"127.0.0.1:{port}" if host in _LOOPBACK else text


def _why_upstream(proxied: Sequence[_Proxied]) -> str | None:
    """Why the inside of the server cannot be bluegreen's; None when it can."""
    if special := next((one.special for one in proxied if one.special), None):
        return special
    servers: dict[int, dict[str, FoundRoute]] = {}
    for one in proxied:
        servers.setdefault(one.server, {})[one.path] = one.route
    first, *others = servers.values()
    return "its servers differ in their locations" if any(o != first for o in others) else None


def _blocks(app: str, proxied: Sequence[_Proxied]) -> list[str]:
    """Per server, its locations, of which the snippet takes the place."""
    servers: dict[int, list[_Proxied]] = {}
    for one in proxied:
        servers.setdefault(one.server, []).append(one)
    return [
        f"{of[0].location.file}, in the place of "
        + ", ".join(f"location {' '.join(o.location.args)} (line {o.location.line})" for o in of)
        + f": include {SNIPPETS}/{app}.server.conf;"
        for of in servers.values()
    ]


def _passes(app: str, proxied: Sequence[_Proxied]) -> list[str]:
    said = []
    for one in proxied:
        match = _PASS.fullmatch(one.passing.args[0])
        uri = (match["uri"] if match else None) or ""
        said.append(
            f"{one.passing.file}:{one.passing.line}, in the place of "
            f"{one.passing.args[0]}: http://{app}_{one.service}{uri};"
        )
    return said


def _missing_include(configuration: Configuration) -> list[str]:
    if configuration.has_included(ALL):
        return []
    return [f"/etc/nginx/nginx.conf, inside of http {{ }}: include {ALL};"]


def _max_body(proxied: Sequence[_Proxied]) -> str | None:
    """The largest that one of the locations takes, as the app file writes it."""
    sizes = [one.settings.get("client_max_body_size") for one in proxied]
    found = [
        re.fullmatch(r"([1-9][0-9]{0,9})([kKmMgG]?)", s.args[0]) for s in sizes if s and s.args
    ]
    factors = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
    known = {int(m[1]) * factors[m[2].lower()]: m for m in found if m}
    if not known:
        return None
    largest = known[max(known)]
    unit = {"": "B", "k": "KiB", "m": "MiB", "g": "GiB"}[largest[2].lower()]
    return f"{largest[1]}{unit}"
