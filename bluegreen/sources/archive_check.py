"""Whether an archive is what its makers meant: by a digest, a file of checksums, a signature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from bluegreen.config.source_section import Source
from bluegreen.sources import checksums, minisign, tarball_errors
from bluegreen.sources.archive_cache import Record
from bluegreen.sources.archive_places import Located, Place
from bluegreen.sources.checksums import ChecksumError
from bluegreen.sources.interruptible import in_thread
from bluegreen.sources.minisign import SignatureRefusedError
from bluegreen.sources.web import Kind, Web, WebError


@dataclass(frozen=True, kw_only=True)
class Demands:
    """What the archive of one version is checked against, as far as [source] asks for it."""

    app: str
    url: str
    name: str  # its file's, in a file of checksums
    sha256: str | None
    said_by: str  # who has said so: "sha256", or the address of a file of checksums
    key: str | None
    signature: str | None = None

    def check_digest(self, found: str) -> None:
        """Raises SourceError."""
        if self.sha256 is not None and found != self.sha256:
            raise tarball_errors.wrong_digest(
                self.app, self.url, found=found, expected=self.sha256, said_by=self.said_by
            )

    async def check_signature(self, file: BinaryIO) -> None:
        """Raises SourceError."""
        if self.key is None:
            return
        key, signature = self.key, self.signature or ""
        try:
            await in_thread(
                lambda stop: minisign.verify(file, signature, key, stop), name="verify signature"
            )
        except SignatureRefusedError as error:
            raise tarball_errors.not_signed(self.app, self.url, str(error)) from error


async def ask(web: Web, app: str, source: Source, place: Place, located: Located) -> Demands:
    """Fetch what the archive is to be checked against. Raises WebError, SourceError."""
    sha256, said_by, signature = source.sha256, "sha256", None
    if sha256 is None and located.sha256 is not None:
        sha256, said_by = located.sha256, "the forge"
    if located.checksums is not None:
        ask = located.checksums
        text = await web.text(ask.url, most_bytes=checksums.MOST_BYTES, headers=ask.headers)
        try:
            said_by = place.checksums or ask.url
            sha256 = checksums.digest_of(place.name, text)
        except ChecksumError as error:
            raise tarball_errors.no_checksum(app, said_by, str(error)) from error
    if source.minisign is not None:
        signature = await _signature(web, app, place, located)
    return Demands(
        app=app, url=place.address, name=place.name, sha256=sha256, said_by=said_by,
        key=source.minisign, signature=signature,
    )  # fmt: skip


async def _signature(web: Web, app: str, place: Place, located: Located) -> str:
    signed = f"{place.address}.minisig"
    ask = located.signature
    if ask is None:
        raise tarball_errors.no_signature(app, signed)
    try:
        return await web.text(ask.url, most_bytes=minisign.MOST_BYTES, headers=ask.headers)
    except WebError as error:
        if error.kind is Kind.MISSING:
            raise tarball_errors.no_signature(app, signed) from error
        raise


def remembered(app: str, source: Source, record: Record, place: Place) -> Demands | None:
    """What a cached archive can be checked against again without a server.

    None if something is asked for by now that it was not checked against then.
    """
    if place.checksums is not None and record.checksums != place.checksums:
        return None
    if source.minisign is not None and record.signature is None:
        return None
    return Demands(
        app=app, url=record.url, name=place.name, sha256=source.sha256 or record.digest,
        said_by="sha256", key=source.minisign, signature=record.signature,
    )  # fmt: skip


def by_signature(app: str, source: Source, place: Place, signature: str | None) -> Demands:
    """Of an archive whose digest is known to be right: signed by the key as it is now."""
    return Demands(
        app=app, url=place.address, name=place.name, sha256=None, said_by="sha256",
        key=source.minisign, signature=signature,
    )  # fmt: skip


def signature_warning(record: Record, name: str) -> str | None:
    """Whether a verified signature is of a file by another name than ``name``.

    Whoever may publish, but not sign, could offer an older release as a newer one.
    """
    if record.signature is None:
        return None
    signed = minisign.signed_name(record.signature)
    if signed in (None, name):
        return None
    return f"the signature of {name} says that it was made for {signed}"
