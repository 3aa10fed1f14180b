"""What the keys of ``[source]`` say about each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Set
from typing import Any

from bluegreen.config.draft import Draft
from bluegreen.config.git_url import is_ssh
from bluegreen.config.places import Place
from bluegreen.config.problems import Finding
from bluegreen.config.source_section import KINDS, OF_ARCHIVES, OF_GIT, OF_URLS


def source_findings(draft: Draft) -> Iterator[Finding]:
    """What is well-formed in ``[source]`` and cannot be meant."""
    source = draft.source
    yield from _misplaced(source, {"git"}, OF_GIT, "git, and releases do not come from it")
    archives = {"tarball", "assets"}
    none = "a tarball, and releases do not come from one"
    yield from _misplaced(source, archives, OF_ARCHIVES, none)
    yield from _misplaced(source, {"tarball"}, OF_URLS, none)
    yield from _misplaced(
        source, {"git", *archives}, ("token",), "a server, and releases lie on this host"
    )
    if archives & set(source):
        yield from _of_tarballs(source)
    if isinstance(url := source.get("git"), str):
        yield from _of_git(source, url)


def _misplaced(
    source: Mapping[str, Any], kinds: Set[str], keys: Collection[str], what: str
) -> Iterator[Finding]:
    """Those of ``keys`` that stand there and mean nothing, as none of ``kinds`` does."""
    if not kinds & set(source) and set(KINDS) & set(source):
        for key in keys:
            if key in source:
                yield Finding(place=("source", key), wrong=f"it is about {what}", right="Remove it")


def _of_git(source: Mapping[str, Any], url: str) -> Iterator[Finding]:
    for key in ("ssh_key", "known_hosts"):
        if key in source and not is_ssh(url):
            yield Finding(
                place=("source", key),
                wrong="it is about ssh, by which that address is not reached",
                right='Write git = "ssh://git@host/path" or "git@host:path", or remove it',
            )
    if "token" in source and not url.lower().startswith("https://"):
        yield Finding(
            place=("source", "token"),
            wrong="a token is sent by https only",
            right='Write git = "https://…", or remove it',
        )


def _of_tarballs(source: Mapping[str, Any]) -> Iterator[Finding]:
    assets = source.get("assets")
    urls: list[tuple[Place, Any]] = [
        (("source", key), source.get(key)) for key in ("tarball", "checksums")
    ]
    if isinstance(assets, Mapping):
        urls.append((("source", "assets", "api"), assets.get("api")))
    if source.get("allow_private") is not True:
        for place, url in urls:
            if str(url).lower().startswith("http://"):
                yield Finding(
                    place=place,
                    wrong="whoever is on the way could change what comes over http",
                    right="Write https://…, or add allow_private = true",
                )
    if "sha256" in source and "checksums" in source:
        yield Finding(
            place=("source", "sha256"),
            wrong="sha256 is of one archive, and checksums name one of each version",
            right="Keep one of the two",
        )
