"""Releases from archives on a server: fetched, verified, cached, unpacked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import SourceError, UsageError
from tests.sources.archive_server import ArchiveServer
from tests.sources.archives import Signer
from tests.sources.repositories import files_in
from tests.sources.tarballs import V1, V2, cached, layout_in, sha256, source_of

pytestmark = pytest.mark.usefixtures("releases")


async def test_a_release_is_what_its_archive_holds_and_its_commit_the_digest_of_that(
    server: ArchiveServer, tmp_path: Path
) -> None:
    source = source_of(server, tmp_path, sha256=sha256(V1))
    release = await source.resolve("v1")
    assert (release.version, release.commit) == ("v1", sha256(V1))
    assert release.origin == f"{server.url}/v1.tar.gz"
    assert release.warnings == ()
    await source.lay_out(release, tmp_path / "tree")
    assert files_in(tmp_path / "tree") == {"app.py": "one"}
    directory = layout_in(tmp_path).cache / "archives"
    assert oct(directory.stat().st_mode)[-3:] == "700"


async def test_an_archive_that_nothing_is_known_of_is_taken_with_a_warning(
    server: ArchiveServer, tmp_path: Path
) -> None:
    (warning,) = (await source_of(server, tmp_path).resolve("v1")).warnings
    assert "neither sha256 nor checksums nor minisign" in warning


@pytest.mark.parametrize("version", ["..", "../x", "/etc", "a/../../b", "", "a b", "-x", "x\0"])
async def test_versions_that_are_paths_elsewhere_are_refused(
    server: ArchiveServer, tmp_path: Path, version: str
) -> None:
    with pytest.raises(UsageError):
        await source_of(server, tmp_path).resolve(version)
    assert server.requests == []


async def test_a_version_is_encoded_for_its_url(server: ArchiveServer, tmp_path: Path) -> None:
    server.files["/of/a+b@c.tar.gz"] = V1
    assert (await source_of(server, tmp_path).resolve("of/a+b@c")).commit == sha256(V1)


async def test_an_unknown_version_says_so(server: ArchiveServer, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no archive of v9"):
        await source_of(server, tmp_path).resolve("v9")
    assert cached(tmp_path) == set()


async def test_a_wrong_checksum_is_refused_and_a_retry_starts_afresh(
    server: ArchiveServer, tmp_path: Path
) -> None:
    source = source_of(server, tmp_path, sha256=sha256(V1))
    server.files["/v1.tar.gz"] = V1[:-1] + b"x"
    with pytest.raises(SourceError, match="not the checksum") as refused:
        await source.resolve("v1")
    assert sha256(V1) in refused.value.detail[0]
    assert os.listdir(layout_in(tmp_path).cache / "archives") == ["lock"]
    server.files["/v1.tar.gz"] = V1
    assert (await source.resolve("v1")).commit == sha256(V1)


async def test_a_file_of_checksums_names_the_digest_of_each_version(
    server: ArchiveServer, tmp_path: Path
) -> None:
    server.files["/sums"] = f"{sha256(V1)}  v1.tar.gz\n{sha256(V1)} *v2.tar.gz\n".encode()
    source = source_of(server, tmp_path, checksums=f"{server.url}/sums")
    assert (await source.resolve("v1")).warnings == ()
    # What is cached and known by its digest is not fetched again, whatever it is called.
    assert (await source.resolve("v2")).commit == sha256(V1)
    assert [path for _, path, _ in server.requests].count("/v2.tar.gz") == 0
    with pytest.raises(SourceError, match=r"does not say .* no SHA-256 of v3\.tar\.gz"):
        await source.resolve("v3")


async def test_checksums_that_are_not_those_of_the_archive_refuse_it(
    server: ArchiveServer, tmp_path: Path
) -> None:
    server.files["/v2/sums"] = f"{sha256(V1)}  v2.tar.gz\n".encode()
    source = source_of(server, tmp_path, checksums=f"{server.url}/{{version}}/sums")
    with pytest.raises(SourceError, match="not the checksum"):
        await source.resolve("v2")


@pytest.mark.parametrize("hashed", [True, False])
async def test_a_signature_is_asked_for_beside_the_archive(
    server: ArchiveServer, tmp_path: Path, hashed: bool
) -> None:
    signer = Signer()
    source = source_of(server, tmp_path, minisign=signer.public)
    with pytest.raises(SourceError, match="no signature of the archive"):
        await source.resolve("v1")
    comment = "timestamp:1\tfile:v1.tar.gz"
    server.files["/v1.tar.gz.minisig"] = signer.sign(V1, hashed=hashed, comment=comment).encode()
    release = await source.resolve("v1")
    assert (release.commit, release.warnings) == (sha256(V1), ())
    assert str(release.signed_by).startswith("minisign key ")
    server.files["/v2.tar.gz.minisig"] = signer.sign(V1).encode()
    with pytest.raises(SourceError, match="not what was signed"):
        await source.resolve("v2")
    server.files["/v2.tar.gz.minisig"] = Signer(2).sign(V2).encode()
    with pytest.raises(SourceError, match="signed by the key"):
        await source.resolve("v2")
    assert cached(tmp_path) == {sha256(V1)}


async def test_what_is_pinned_is_verified_by_the_key_as_it_is_now(
    server: ArchiveServer, tmp_path: Path
) -> None:
    old, new = Signer(), Signer(2)
    signature = "/v1.tar.gz.minisig"
    pinned = (await source_of(server, tmp_path).resolve("v1")).commit
    # It was fetched when nobody asked for a signature.
    by_old = source_of(server, tmp_path, minisign=old.public)
    with pytest.raises(SourceError, match="no signature of the archive"):
        await by_old.resolve("v1", pinned=pinned)
    server.files[signature] = old.sign(V1).encode()
    await by_old.resolve("v1", pinned=pinned)
    asked = len(server.requests)
    assert (await by_old.resolve("v1", pinned=pinned)).signed_by is not None
    assert len(server.requests) == asked  # its signature is kept with it
    by_new = source_of(server, tmp_path, minisign=new.public)
    with pytest.raises(SourceError, match="signed by the key"):
        await by_new.resolve("v1", pinned=pinned)
    server.files[signature] = new.sign(V1).encode()
    assert (await by_new.resolve("v1", pinned=pinned)).commit == pinned


async def test_a_signature_that_was_made_for_another_file_is_told(
    server: ArchiveServer, tmp_path: Path
) -> None:
    """An older release, offered as a newer one, is signed by the right key."""
    signer = Signer()
    server.files["/v2.tar.gz"] = V1
    server.files["/v2.tar.gz.minisig"] = signer.sign(V1, comment="file:v1.tar.gz").encode()
    release = await source_of(server, tmp_path, minisign=signer.public).resolve("v2")
    assert release.warnings == ("the signature of v2.tar.gz says that it was made for v1.tar.gz",)


async def test_what_was_verified_is_what_is_unpacked_without_a_second_fetch(
    server: ArchiveServer, tmp_path: Path
) -> None:
    source = source_of(server, tmp_path)
    release = await source.resolve("v1")
    server.files["/v1.tar.gz"] = V2
    asked = len(server.requests)
    await source.lay_out(release, tmp_path / "tree")
    assert files_in(tmp_path / "tree") == {"app.py": "one"}
    assert len(server.requests) == asked


async def test_a_cached_archive_that_was_changed_is_never_unpacked(
    server: ArchiveServer, tmp_path: Path
) -> None:
    source = source_of(server, tmp_path)
    release = await source.resolve("v1")
    (layout_in(tmp_path).cache / "archives" / sha256(V1)).write_bytes(V2)
    with pytest.raises(SourceError, match="no longer in the cache, or damaged"):
        await source.lay_out(release, tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    await source.lay_out(await source.resolve("v1"), tmp_path / "tree")
    assert files_in(tmp_path / "tree") == {"app.py": "one"}


async def test_a_server_that_takes_longer_than_it_may_is_given_up(
    server: ArchiveServer, tmp_path: Path
) -> None:
    source = source_of(server, tmp_path, timeout="200ms")
    server.handlers["/v1.tar.gz"] = server.stalled(V1)
    with pytest.raises(SourceError, match=r"within 0\.2 s"):
        await source.resolve("v1")


async def test_an_archive_that_takes_longer_to_unpack_than_it_may_is_given_up(
    server: ArchiveServer, tmp_path: Path
) -> None:
    release = await source_of(server, tmp_path).resolve("v1")
    with pytest.raises(SourceError, match="could not be unpacked within"):
        await source_of(server, tmp_path, timeout="0.000001ms").lay_out(release, tmp_path / "tree")


async def test_an_archive_that_was_cut_off_before_it_was_published_is_refused(
    server: ArchiveServer, tmp_path: Path
) -> None:
    server.files["/v1.tar.gz"] = V1[: len(V1) // 2]
    source = source_of(server, tmp_path)
    with pytest.raises(SourceError, match="it is cut off") as refused:
        await source.lay_out(await source.resolve("v1"), tmp_path / "tree")
    assert refused.value.remedy


async def test_what_is_no_whole_archive_is_fetched_anew_though_its_server_has_not_changed_it(
    server: ArchiveServer, tmp_path: Path
) -> None:
    """Of an answer that ends with its connection, nobody says where it was cut off."""
    ends = [len(V1) // 2, len(V1)]

    async def until_closed(request: Any) -> Any:
        if request.headers.get("If-None-Match") == '"same"':
            return await server.status(304)(request)
        head = b'HTTP/1.0 200 OK\r\nETag: "same"\r\n\r\n'
        request.transport.write(head + V1[: ends.pop(0)])
        request.transport.close()
        return await server.status(200)(request)

    server.handlers["/v1.tar.gz"] = until_closed
    source = source_of(server, tmp_path)
    with pytest.raises(SourceError, match="it is cut off"):
        await source.lay_out(await source.resolve("v1"), tmp_path / "tree")
    release = await source.resolve("v1")
    await source.lay_out(release, tmp_path / "again")
    assert files_in(tmp_path / "again") == {"app.py": "one"}
    assert (await source.resolve("v1")).commit == release.commit
    assert ends == []  # what is sound is not sent again


async def test_private_addresses_and_other_hosts_need_leave(
    server: ArchiveServer, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="not a public address") as refused:
        await source_of(server, tmp_path, allow_private=False).resolve("v1")
    assert "allow_private" in refused.value.remedy
    server.handlers["/v1.tar.gz"] = server.redirect("https://cdn.example/x")
    with pytest.raises(SourceError, match="another host") as refused:
        await source_of(server, tmp_path).resolve("v1")
    assert 'allowed_hosts = ["cdn.example"]' in refused.value.remedy


async def test_an_archive_larger_than_allowed_is_refused(
    server: ArchiveServer, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="max_size"):
        await source_of(server, tmp_path, max_size="10B").resolve("v1")
    source = source_of(server, tmp_path, max_unpacked="10B")
    with pytest.raises(SourceError, match="max_unpacked"):
        await source.lay_out(await source.resolve("v1"), tmp_path / "tree")


async def test_a_page_in_place_of_an_archive_is_refused(
    server: ArchiveServer, tmp_path: Path
) -> None:
    server.files["/v1.tar.gz"] = b"<html>log in first</html>" * 50
    source = source_of(server, tmp_path)
    with pytest.raises(SourceError, match="cannot be unpacked: it is no archive"):
        await source.lay_out(await source.resolve("v1"), tmp_path / "tree")


async def test_a_plan_asks_whether_there_is_an_archive_and_fetches_nothing(
    server: ArchiveServer, tmp_path: Path
) -> None:
    source = source_of(server, tmp_path)
    comparison = await source.compare("v1", None)
    assert comparison.unknown == "archives have no commits"
    assert comparison.release.version == "v1"
    assert [method for method, _, _ in server.requests] == ["HEAD"]
    with pytest.raises(SourceError, match="no archive of v9"):
        await source.compare("v9", None)
    server.handlers["/v1.tar.gz"] = server.status(405)
    assert "405" in (await source.compare("v1", None)).release.warnings[0]
    assert not (layout_in(tmp_path).cache / "archives").exists()


async def test_one_archive_for_all_versions_is_used_with_a_warning(
    server: ArchiveServer, tmp_path: Path
) -> None:
    source = source_of(server, tmp_path, tarball=f"{server.url}/v1.tar.gz", sha256=sha256(V1))
    assert "only a name" in (await source.resolve("anything")).warnings[0]


async def test_a_full_disk_is_said_in_words(
    server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluegreen.sources.download.free_bytes", lambda _: 10)
    with pytest.raises(SourceError, match="no room") as refused:
        await source_of(server, tmp_path).resolve("v1")
    assert "needed" in refused.value.detail[0]
