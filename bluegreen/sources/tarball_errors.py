"""What an operator reads when an archive cannot be had or used: the cause, and what to do next."""

from __future__ import annotations

import time

from bluegreen.errors import SourceError
from bluegreen.sources.archive_cache import Record
from bluegreen.sources.web import Kind, WebError, shown

_AGAIN = "have the archive and what it is checked against published anew, then deploy again"


def unavailable(app: str, version: str, error: WebError) -> SourceError:
    """It could not be fetched, and is not cached."""
    if error.kind is Kind.MISSING:
        return SourceError(
            f"{app}: there is no archive of {version}: {error}",
            remedy="name a version that is published, or correct the address in [source]",
        )
    if error.kind is Kind.REFUSED:
        return SourceError(f"{app}: {version} is not fetched: {error}", remedy=error.remedy)
    return SourceError(
        f"{app}: {version} could not be fetched: {error}",
        detail=[f"{version} is not in the cache, and so cannot be deployed without"],
        remedy=error.remedy
        or "make sure that this host reaches it, then deploy again; a version that was deployed "
        "lately needs no server",
    )


def stale(version: str, record: Record, error: WebError) -> str:
    """The warning that a cached archive is used because the server failed."""
    at = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(record.at))
    return f"{error}; {version} is used as cached, last fetched at {at}"


def unverified(url: str) -> str:
    """The warning that nothing but the connection vouches for an archive."""
    on_the_way = "" if url.startswith("https:") else ", and whoever is on the way could change it"
    return (
        f"nothing shows that {shown(url)} is what its makers meant{on_the_way}: [source] has "
        "neither sha256 nor checksums nor minisign"
    )


def wrong_digest(app: str, url: str, *, found: str, expected: str, said_by: str) -> SourceError:
    remedy = _AGAIN
    if said_by == "sha256":
        remedy = (
            "if this is the archive that you mean, correct sha256 in [source]; it is of one "
            "version: for several, name a file of checksums with {version} in its address"
        )
    return SourceError(
        f"{app}: {shown(url)} has not the checksum that it should have",
        detail=[f"SHA-256 expected, by {said_by}: {expected}", f"SHA-256 found: {found}"],
        remedy=remedy,
    )


def no_checksum(app: str, checksums: str, why: str) -> SourceError:
    return SourceError(
        f"{app}: {shown(checksums)} does not say what the archive should be: {why}",
        remedy="name the file of checksums of this version, made by sha256sum, in [source]",
    )


def not_signed(app: str, url: str, why: str) -> SourceError:
    return SourceError(
        f"{app}: the signature of {shown(url)} does not hold: {why}",
        remedy=f"{_AGAIN}; if its makers have another key now, correct minisign in [source]",
    )


def no_signature(app: str, url: str) -> SourceError:
    return SourceError(
        f"{app}: there is no signature of the archive at {shown(url)}",
        remedy="have it signed with minisign, and the signature published beside it",
    )


def replaced(app: str, version: str, *, found: str, pinned: str) -> SourceError:
    return SourceError(
        f"{app}: the archive of {version} is another one by now",
        detail=[f"SHA-256 of the one that was deployed: {pinned}", f"SHA-256 now: {found}"],
        remedy=f"if the new one is meant: bluegreen deploy {app} {version}",
    )


def of_another_source(app: str, version: str) -> SourceError:
    return SourceError(
        f"{app}: {version} was not deployed from an archive, as [source] has it now",
        remedy=f"deploy it from there: bluegreen deploy {app} {version}",
    )


def lost(app: str, version: str) -> SourceError:
    return SourceError(
        f"{app}: the archive of {version} is no longer in the cache, or damaged there",
        remedy="deploy it again: it is fetched anew",
    )


def not_unpacked(app: str, release: str, why: str) -> SourceError:
    return SourceError(
        f"{app}: {release} cannot be unpacked: {why}",
        remedy="have a sound archive published: only files, directories and links within it, by "
        "gzip, xz, bzip2 or zip; then deploy again",
    )


def too_slow(app: str, version: str, timeout: float) -> SourceError:
    return SourceError(
        f"{app}: {version} could not be unpacked within {timeout:g} s",
        remedy="look at the disk, or raise timeout in [source]",
    )
