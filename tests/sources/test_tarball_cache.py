"""Archives that were fetched and verified are kept, and found again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import SourceError
from bluegreen.sources.archive_cache import SPARE
from tests.sources.archive_server import ArchiveServer
from tests.sources.archives import Signer, tar_of
from tests.sources.tarballs import IMPATIENT, V1, V2, cached, layout_in, sha256, source_of

pytestmark = pytest.mark.usefixtures("releases")


async def test_what_is_pinned_is_found_in_the_cache_whatever_the_server_has(
    server: ArchiveServer, tmp_path: Path
) -> None:
    source = source_of(server, tmp_path)
    pinned = (await source.resolve("v1")).commit
    server.files["/v1.tar.gz"] = V2
    release = await source.resolve("v1", pinned=pinned)
    assert (release.version, release.commit) == ("v1", pinned)
    assert (await source.resolve("v1")).commit == sha256(V2)


async def test_what_is_pinned_and_not_cached_is_fetched_if_it_is_still_the_same(
    server: ArchiveServer, tmp_path: Path
) -> None:
    source = source_of(server, tmp_path)
    assert (await source.resolve("v1", pinned=sha256(V1))).commit == sha256(V1)
    with pytest.raises(SourceError, match="another one by now"):
        await source.resolve("v2", pinned="0" * 64)
    with pytest.raises(SourceError, match="not deployed from an archive"):
        await source.resolve("v2", pinned="0" * 40)


async def test_a_cached_archive_stands_in_for_a_server_that_fails(
    server: ArchiveServer, tmp_path: Path
) -> None:
    source = source_of(server, tmp_path)
    impatient = source_of(server, tmp_path, limits=IMPATIENT)
    await source.resolve("v1")
    for asked, handler in ((source, server.status(503)), (impatient, server.stalled(V1))):
        server.handlers["/v1.tar.gz"] = handler
        release = await asked.resolve("v1")
        assert release.commit == sha256(V1)
        assert "v1 is used as cached" in release.warnings[0]
    server.handlers["/v2.tar.gz"] = server.status(503)
    with pytest.raises(SourceError, match="could not be fetched") as refused:
        await source.resolve("v2")
    assert "not in the cache" in refused.value.detail[0]
    # Withdrawn is something else.
    server.handlers["/v1.tar.gz"] = server.status(404)
    with pytest.raises(SourceError, match="no archive of v1"):
        await source.resolve("v1")


async def test_a_cached_archive_stands_in_only_for_what_it_was_checked_against(
    server: ArchiveServer, tmp_path: Path
) -> None:
    await source_of(server, tmp_path).resolve("v1")
    signer = Signer()
    signed = source_of(server, tmp_path, minisign=signer.public)
    server.handlers["/v1.tar.gz.minisig"] = server.status(503)
    with pytest.raises(SourceError, match="could not be fetched"):
        await signed.resolve("v1")
    del server.handlers["/v1.tar.gz.minisig"]
    server.files["/v1.tar.gz.minisig"] = signer.sign(V1).encode()
    await signed.resolve("v1")
    server.handlers["/v1.tar.gz.minisig"] = server.status(503)
    assert "is used as cached" in (await signed.resolve("v1")).warnings[0]
    with pytest.raises(SourceError, match="signed by the key"):
        await source_of(server, tmp_path, minisign=Signer(2).public).resolve("v1")
    with pytest.raises(SourceError, match="not the checksum"):
        await source_of(server, tmp_path, minisign=signer.public, sha256="0" * 64).resolve("v1")


async def test_the_cache_keeps_what_is_in_use_and_a_few_besides(
    server: ArchiveServer, tmp_path: Path
) -> None:
    digests = []
    in_use: set[str] = set()
    source = source_of(server, tmp_path, in_use=in_use)
    for number in range(SPARE + 4):
        archive = tar_of({"shop/app.py": str(number)})
        server.files[f"/{number}.tar.gz"] = archive
        digests.append(sha256(archive))
        in_use.add(digests[0])
        await source.resolve(str(number))
    assert cached(tmp_path) == {digests[0], digests[-1], *digests[-1 - SPARE : -1]}


async def test_what_a_killed_download_left_is_removed(
    server: ArchiveServer, tmp_path: Path
) -> None:
    source = source_of(server, tmp_path)
    await source.resolve("v1")
    left = layout_in(tmp_path).cache / "archives/.part-0123456789abcdef"
    left.write_bytes(b"half")
    await source.resolve("v1")
    assert not left.exists()


async def test_a_download_that_is_cancelled_leaves_nothing(
    server: ArchiveServer, tmp_path: Path
) -> None:
    reached = asyncio.Event()

    async def stall(request: Any) -> Any:
        reached.set()
        return await server.stalled(V1)(request)

    server.handlers["/v1.tar.gz"] = stall
    task = asyncio.create_task(source_of(server, tmp_path).resolve("v1"))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert os.listdir(layout_in(tmp_path).cache / "archives") == ["lock"]
