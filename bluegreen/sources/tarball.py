"""Releases that are archives on a server: by a URL, or on the release page of a forge.

An archive is fetched into the app's cache, checked there, and unpacked from there: it is not asked
for a second time between the two. Its commit is its SHA-256, by which it is found again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import BinaryIO

from bluegreen.config.source_section import Source as SourceSettings
from bluegreen.config.versions import check_version
from bluegreen.errors import SourceError
from bluegreen.layout import AppLayout
from bluegreen.model import Release
from bluegreen.sources import archive_check, place_errors, tarball_errors
from bluegreen.sources.archive_cache import ArchiveCache, Record, is_digest
from bluegreen.sources.archive_check import Demands
from bluegreen.sources.archive_places import Ask, Place, places_of
from bluegreen.sources.archive_rules import Bounds, RefusedArchiveError
from bluegreen.sources.cache_lock import cache_lock
from bluegreen.sources.comparison import Comparison
from bluegreen.sources.download import Download, Downloaded, NoRoomError
from bluegreen.sources.interruptible import Stop, in_thread
from bluegreen.sources.minisign import key_id
from bluegreen.sources.tokens import WebToken, read_token
from bluegreen.sources.unpack import NotTheArchiveError, unpack
from bluegreen.sources.web import Kind, Limits, Web, WebError, shown

COMPARE_TIMEOUT = 30.0  # seconds: somebody waits for it


class TarballSource:
    """Archives by URL, cached under their digests."""

    def __init__(
        self,
        app: str,
        settings: SourceSettings,
        layout: AppLayout,
        *,
        in_use: Callable[[], Collection[str]] = tuple,
        limits: Limits | None = None,
    ) -> None:
        """``in_use``: digests of releases whose archives are kept, asked in a thread.

        Raises ConfigError.
        """
        self._places = places_of(app, settings)
        self._app, self._settings, self._in_use = app, settings, in_use
        self._cache = ArchiveCache(layout.cache / "archives")
        self._limits = limits or Limits()

    async def resolve(self, version: str, *, pinned: str | None = None) -> Release:
        """Fetch and verify the archive; see Source. ``pinned`` is found in the cache, or fetched.

        One whose digest is known beforehand and that is cached is not fetched again.
        """
        check_version(version)
        try:
            async with self._open():
                return await self._resolve(version, pinned)
        except NoRoomError as error:
            place = self._cache.directory
            raise place_errors.no_room(self._app, place, error.needed) from error
        except OSError as error:
            raise place_errors.unwritable(self._app, self._cache.directory, error) from error

    async def compare(self, version: str, since: str | None) -> Comparison:
        """See Source; archives have no commits. Whether there is one is asked, if that is cheap."""
        check_version(version)
        place = self._places.of(version)
        warnings: tuple[str, ...] = ()
        try:
            async with asyncio.timeout(min(self._settings.timeout, COMPARE_TIMEOUT)):
                async with await self._web() as web:
                    await self._places.look(web, place)
        except TimeoutError:
            warnings = (f"{shown(place.address)} does not answer in time",)
        except WebError as error:
            if error.kind is not Kind.UNREACHABLE:
                raise tarball_errors.unavailable(self._app, version, error) from error
            warnings = (str(error),)
        release = self._release(version, None, *warnings)
        return Comparison(release=release, unknown="archives have no commits")

    async def lay_out(self, release: Release, tree: Path) -> None:
        """Unpack the archive that ``resolve`` has verified, hashed once more; see Source."""
        digest, timeout = release.commit, self._settings.timeout
        if digest is None:
            raise tarball_errors.lost(self._app, release.version)

        def lay(stop: Stop) -> None:
            with self._intact(digest, release.version, stop) as archive:
                try:
                    unpack(
                        archive, tree, strip=self._settings.strip, stop=stop, sha256=digest,
                        bounds=Bounds(unpacked=self._settings.max_unpacked),
                    )  # fmt: skip
                except (NotTheArchiveError, RefusedArchiveError):
                    # Bytes may change with nobody touching the file, and of what was cut off
                    # without a word its server would say that it is unchanged.
                    self._cache.doubt(digest)
                    raise

        try:
            async with asyncio.timeout(timeout):
                await in_thread(lay, name=f"unpack {tree.name}")
        except TimeoutError as error:
            raise tarball_errors.too_slow(self._app, release.version, timeout) from error
        except NotTheArchiveError as error:
            raise tarball_errors.lost(self._app, release.version) from error
        except RefusedArchiveError as error:
            raise tarball_errors.not_unpacked(self._app, release.label, str(error)) from error
        except OSError as error:
            raise place_errors.unwritable(self._app, tree, error) from error

    def _intact(self, digest: str, version: str, stop: Stop) -> BinaryIO:
        archive = self._cache.open(digest, stop)
        if archive is None:
            raise tarball_errors.lost(self._app, version)
        return archive

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        """The cache, for this operation alone."""
        await asyncio.to_thread(self._cache.prepare)
        lock = self._cache.directory / "lock"
        async with cache_lock(lock, timeout=self._settings.timeout):
            await asyncio.to_thread(self._cache.clear_leftovers)
            yield

    async def _resolve(self, version: str, pinned: str | None) -> Release:
        if pinned is not None:
            if not is_digest(pinned):
                raise tarball_errors.of_another_source(self._app, version)
            if await self._has(pinned) and await self._is_signed(pinned, version):
                return self._release(version, pinned)
        place, warnings = self._places.of(version), []
        try:
            record = await self._fetch_in_time(place)
        except WebError as error:
            record = await self._cached(place, error)
            warnings.append(tarball_errors.stale(version, record, error))
        if pinned not in (None, record.digest):
            raise tarball_errors.replaced(
                self._app, version, found=record.digest, pinned=str(pinned)
            )
        if not (self._settings.sha256 or record.checksums or self._settings.minisign):
            warnings.append(tarball_errors.unverified(place.address))
        if warning := archive_check.signature_warning(record, place.name):
            warnings.append(warning)
        if self._places.is_one:
            warnings.append(
                f"{shown(place.address)} is one archive for all versions; {version} is only a name"
            )
        return self._release(version, record.digest, *warnings)

    async def _web(self) -> Web:
        """For one download. Raises SourceError on a token that cannot be used."""
        token = None
        if (kept := self._settings.token) is not None:
            value = await asyncio.to_thread(read_token, kept.file)
            token = WebToken(value=value, origins=self._places.servers)
        return Web(self._places.reach, self._limits, token)

    async def _fetch_in_time(self, place: Place) -> Record:
        timeout = self._settings.timeout
        try:
            async with asyncio.timeout(timeout), await self._web() as web:
                return await self._fetch(web, place)
        except TimeoutError as error:
            raise WebError(
                f"{shown(place.address)}: it was not fetched within {timeout:g} s",
                remedy="see why its server is so slow, or raise timeout in [source]",
            ) from error

    async def _fetch(self, web: Web, place: Place) -> Record:
        """The archive in the cache, verified. Raises WebError, SourceError and NoRoomError."""
        located = await self._places.locate(web, place)
        demands = await archive_check.ask(web, self._app, self._settings, place, located)
        known = await asyncio.to_thread(self._cache.recall, place.address)
        if demands.sha256 is not None and await self._has(demands.sha256):
            size = (await asyncio.to_thread(self._cache.path(demands.sha256).stat)).st_size
            found = Downloaded(size=size, sha256=demands.sha256, etag=None)
            await self._verify_cached(demands, found.sha256)
        else:
            part = self._cache.new_part()
            try:
                found = await self._download(web, located.archive, part, known, demands)
            finally:
                await asyncio.to_thread(part.unlink, missing_ok=True)
        vouched = place.checksums or (located.sha256 and place.address)
        record = Record(
            url=place.address, digest=found.sha256, size=found.size, etag=found.etag,
            at=time.time(), checksums=vouched, signature=demands.signature,
        )  # fmt: skip
        await asyncio.to_thread(self._remember, record)
        return record

    async def _download(
        self, web: Web, ask: Ask, part: Path, known: Record | None, demands: Demands
    ) -> Downloaded:
        unless = known.etag if known is not None and await self._has(known.digest) else None
        download = Download(
            web, ask.url, part, most_bytes=self._settings.max_size, headers=ask.headers
        )
        found = await download.run(unless=unless)
        if found is None and known is not None:
            demands.check_digest(known.digest)
            await self._verify_cached(demands, known.digest)
            return Downloaded(size=known.size, sha256=known.digest, etag=known.etag)
        if found is None:
            raise ValueError("nothing is known that could be unchanged")
        demands.check_digest(found.sha256)
        with await asyncio.to_thread(part.open, "rb") as file:
            await demands.check_signature(file)
        await asyncio.to_thread(self._cache.keep, part, found.sha256)
        return found

    async def _cached(self, place: Place, failure: WebError) -> Record:
        """What was fetched before, if the server only fails and it can be verified again."""
        error = tarball_errors.unavailable(self._app, place.version, failure)
        record = await asyncio.to_thread(self._cache.recall, place.address)
        if failure.kind is not Kind.UNREACHABLE or record is None:
            raise error from failure
        demands = archive_check.remembered(self._app, self._settings, record, place)
        if demands is None or not await self._has(record.digest):
            raise error from failure
        demands.check_digest(record.digest)
        await self._verify_cached(demands, record.digest)
        return record

    async def _is_signed(self, digest: str, version: str) -> bool:
        """Whether a cached archive has the signature that is asked for, by the key as it is now."""
        if self._settings.minisign is None:
            return True
        signature = await asyncio.to_thread(self._cache.signature, digest)
        place = self._places.of(version)
        demands = archive_check.by_signature(self._app, self._settings, place, signature)
        try:
            await self._verify_cached(demands, digest)
        except SourceError:
            return False  # its address may have another one by now, and says what is wrong
        return True

    async def _verify_cached(self, demands: Demands, digest: str) -> None:
        with await asyncio.to_thread(self._cache.path(digest).open, "rb") as file:
            await demands.check_signature(file)

    async def _has(self, digest: str) -> bool:
        """Whether that archive is cached, and whole."""

        def look(stop: Stop) -> bool:
            archive = self._cache.open(digest, stop)
            if archive is None:
                return False
            archive.close()
            return True

        return await in_thread(look, name="read archive")

    def _remember(self, record: Record) -> None:
        self._cache.remember(record)
        self._cache.prune({*self._in_use(), record.digest})

    def _release(self, version: str, digest: str | None, *warnings: str) -> Release:
        key = self._settings.minisign
        return Release(
            app=self._app, version=version, commit=digest,
            origin=shown(self._places.of(version).address), warnings=warnings,
            signed_by=None if digest is None or key is None else f"minisign key {key_id(key)}",
        )  # fmt: skip
