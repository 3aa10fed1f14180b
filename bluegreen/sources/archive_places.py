"""Where the archive of a version is, and what it is checked against: by URLs, or asked of a forge.

A place has a name that needs no server, by which what was fetched from there is found again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from bluegreen.config.placeholders import expand
from bluegreen.config.source_section import Source
from bluegreen.errors import ConfigError, UsageError
from bluegreen.log_tail import printable
from bluegreen.sources.forges import MOST_BYTES, Asset, Forge, NoReleaseError
from bluegreen.sources.tokens import origin
from bluegreen.sources.web import Kind, Reach, Web, WebError, shown

PLACEHOLDER = "{version}"
_NAMED = 5  # assets that an error names


@dataclass(frozen=True, kw_only=True)
class Place:
    """``name`` is the file's; ``address`` and ``checksums`` are known without a server."""

    version: str
    address: str
    name: str
    checksums: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is asked of a server."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Located:
    """``sha256`` is what the server itself says of the archive; ``signature`` of minisign."""

    archive: Ask
    checksums: Ask | None = None
    signature: Ask | None = None
    sha256: str | None = None


class Places(Protocol):
    """The archives of an app."""

    is_one: bool  # for all versions

    def of(self, version: str) -> Place:
        """The place of a checked version."""
        ...

    @property
    def reach(self) -> Reach:
        """Where requests may go."""
        ...

    @property
    def servers(self) -> frozenset[tuple[str, str, int]]:
        """Those that a token is for."""
        ...

    async def locate(self, web: Web, place: Place) -> Located:
        """What is to be asked for. Raises WebError."""
        ...

    async def look(self, web: Web, place: Place) -> None:
        """Whether it is there, cheaply. Raises WebError if it is not."""
        ...


def places_of(app: str, source: Source) -> Places:
    """Raises ConfigError on a placeholder that is none."""
    assets = source.assets
    texts = [("tarball", source.tarball), ("checksums", source.checksums)]
    if assets is not None:
        texts += [("assets.name", assets.name), ("assets.checksums", assets.checksums)]
    for key, text in texts:
        try:
            expand(text or "", {"version": "v"})
        except UsageError as error:
            raise ConfigError(
                f"{app}: source.{key} cannot be used: {error.message}",
                remedy="its only placeholder is {version}",
            ) from error
    return UrlPlaces(source) if assets is None else ForgePlaces(source, Forge(assets=assets))


class UrlPlaces:
    """``tarball = "https://…{version}…"``."""

    def __init__(self, source: Source) -> None:
        self._archive, self._checksums = source.tarball or "", source.checksums
        self.reach = Reach(private=source.allow_private, hosts=source.allowed_hosts)
        self.is_one = PLACEHOLDER not in self._archive

    def of(self, version: str) -> Place:
        quoted = {"version": quote(version, safe="/")}
        url = expand(self._archive, quoted)
        checksums = None if self._checksums is None else expand(self._checksums, quoted)
        name = unquote(urlsplit(url).path.rpartition("/")[2])
        return Place(version=version, address=url, name=name, checksums=checksums)

    @property
    def servers(self) -> frozenset[tuple[str, str, int]]:
        return frozenset({origin(self._archive)})

    async def locate(self, web: Web, place: Place) -> Located:
        checksums = None if place.checksums is None else Ask(url=place.checksums)
        signature = Ask(url=f"{place.address}.minisig")
        return Located(archive=Ask(url=place.address), checksums=checksums, signature=signature)

    async def look(self, web: Web, place: Place) -> None:
        async with web.request(place.address, method="HEAD"):
            pass


class ForgePlaces:
    """``assets = { provider = "github", … }``."""

    is_one = False

    def __init__(self, source: Source, forge: Forge) -> None:
        self._forge = forge
        hosts = (*forge.stores, *source.allowed_hosts)
        self.reach = Reach(private=source.allow_private, hosts=hosts)

    def of(self, version: str) -> Place:
        assets, release = self._forge.assets, self._forge.url(version)
        name = expand(assets.name, {"version": version})
        checksums = None
        if assets.checksums is not None:
            checksums = f"{release}/{quote(expand(assets.checksums, {'version': version}))}"
        return Place(
            version=version, address=f"{release}/{quote(name)}", name=name, checksums=checksums
        )

    @property
    def servers(self) -> frozenset[tuple[str, str, int]]:
        return frozenset({origin(self._forge.api)})

    async def locate(self, web: Web, place: Place) -> Located:
        url = self._forge.url(place.version)
        answer = await web.text(url, most_bytes=MOST_BYTES, headers=self._forge.headers)
        try:
            files = self._forge.files(answer, place.version)
        except NoReleaseError as error:
            raise WebError(
                f"{shown(url)}: {error}", kind=Kind.REFUSED,
                remedy="see what is at that address, and correct assets in [source]",
            ) from error  # fmt: skip
        archive = self._named(files, place.name, url)
        checksums = None
        if place.checksums is not None:
            name = unquote(place.checksums.removeprefix(f"{url}/"))
            checksums = self._ask(self._named(files, name, url))
        signature = files.get(f"{place.name}.minisig")
        return Located(
            archive=self._ask(archive), checksums=checksums, sha256=archive.sha256,
            signature=None if signature is None else self._ask(signature),
        )  # fmt: skip

    async def look(self, web: Web, place: Place) -> None:
        await self.locate(web, place)

    def _named(self, files: Mapping[str, Asset], name: str, url: str) -> Asset:
        if name in files:
            return files[name]
        there = ", ".join(printable(one) for one in list(files)[:_NAMED]) or "nothing"
        raise WebError(
            f"{shown(url)}: the release has no file {name}; it has {there}", kind=Kind.MISSING
        )

    def _ask(self, asset: Asset) -> Ask:
        host = urlsplit(asset.url).hostname or ""
        allowed = (urlsplit(self._forge.api).hostname or "", *self.reach.hosts)
        if not any(fnmatchcase(host, pattern.strip("[]")) for pattern in allowed):
            raise WebError(
                f"{printable(asset.name)} is on another host, {printable(host)}",
                kind=Kind.REFUSED,
                remedy=f'if that is right, add allowed_hosts = ["{printable(host)}"] to [source]',
            )
        return Ask(url=asset.url, headers=asset.headers)
