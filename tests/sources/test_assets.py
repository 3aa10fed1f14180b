"""Release assets of forges: found by their APIs, fetched with a token that goes nowhere else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.config.source_section import Assets, Source
from bluegreen.errors import SourceError
from bluegreen.sources.forges import Forge, NoReleaseError
from bluegreen.sources.tarball import TarballSource
from bluegreen.sources.web import Limits
from tests.sources.archive_server import ArchiveServer
from tests.sources.archives import Signer, tar_of
from tests.sources.repositories import files_in, layout_in

TOKEN = "t0ken-of-a-forge"
LIMITS = Limits(connect=20.0, stall=20.0, pause=0.01)
APP = tar_of({"shop/app.py": "one"})
DIGEST = hashlib.sha256(APP).hexdigest()
NAME = "app-v1.tar.gz"


@pytest.fixture
async def store(certificate: Path) -> AsyncIterator[ArchiveServer]:
    """Another server, by another name, to which a forge redirects."""
    async with ArchiveServer().serve(certificate) as serving:
        serving.files["/stored"] = APP
        yield serving


class Forged:
    """A forge as its API's documentation has it, and what it was shown of tokens."""

    def __init__(self, server: ArchiveServer, store: ArchiveServer) -> None:
        self.server = server
        self.store = store.url.replace("127.0.0.1", "localhost") + "/stored"
        self.shown: list[tuple[str, str | None]] = []
        store.handlers["/stored"] = self._stored

    async def _stored(self, request: web.Request) -> web.StreamResponse:
        self.shown.append(("store", request.headers.get("Authorization")))
        return web.Response(body=APP)

    def answers(self, path: str, what: Any, *, accept: str | None = None) -> None:
        """At ``path`` a document, bytes, or a redirect, for whoever has the token."""

        async def handle(request: web.Request) -> web.StreamResponse:
            said = request.headers.get("Authorization")
            self.shown.append((path, said))
            if said != f"Bearer {TOKEN}":
                return web.Response(status=404)
            if accept is not None and request.headers.get("Accept") != accept:
                return web.json_response({"name": "this is the document about it"})
            if isinstance(what, bytes):
                return web.Response(body=what)
            if isinstance(what, str):
                return web.Response(status=302, headers={"Location": what})
            return web.json_response(what)

        self.server.handlers[path] = handle

    def github(self, **more: Any) -> None:
        asset = f"{self.server.url}/repos/org/shop/releases/assets/7"
        entry = {"name": NAME, "url": asset, "browser_download_url": "https://nowhere/", **more}
        release = {"tag_name": "v1", "assets": [entry]}
        self.answers("/repos/org/shop/releases/tags/v1", release)
        self.answers(
            "/repos/org/shop/releases/assets/7", self.store, accept="application/octet-stream"
        )


@pytest.fixture
def forge(server: ArchiveServer, store: ArchiveServer) -> Forged:
    return Forged(server, store)


def source_of(
    forge: Forged, tmp_path: Path, provider: str = "github", *, token: bool = True, **more: Any
) -> TarballSource:
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assets = {"provider": provider, "repository": "org/shop", "name": "app-{version}.tar.gz",
              "api": forge.server.url, **more.pop("assets", {})}  # fmt: skip
    options = {"assets": assets, "allow_private": True, "allowed_hosts": ["localhost"], **more}
    if token:
        options["token"] = {"file": str(tmp_path / "token")}
    return TarballSource("shop", Source.model_validate(options), layout_in(tmp_path), limits=LIMITS)


async def test_an_asset_of_github_is_fetched_by_its_address_in_the_api(
    forge: Forged, tmp_path: Path
) -> None:
    forge.github(digest=f"sha256:{DIGEST}")
    source = source_of(forge, tmp_path)
    release = await source.resolve("v1")
    assert (release.commit, release.warnings) == (DIGEST, ())
    assert TOKEN not in repr(release)
    await source.lay_out(release, tmp_path / "tree")
    assert files_in(tmp_path / "tree") == {"app.py": "one"}
    # The store, which is another's, has not been shown the token.
    assert ("store", None) in forge.shown
    assert {said for place, said in forge.shown if place != "store"} == {f"Bearer {TOKEN}"}
    # What the API says is cached is not fetched again.
    asked = len(forge.shown)
    await source.resolve("v1")
    assert len(forge.shown) == asked + 1
    assert (await source.compare("v1", None)).release.warnings == ()


async def test_assets_of_gitlab_and_gitea_are_found_too(forge: Forged, tmp_path: Path) -> None:
    url = forge.server.url
    package = f"{url}/projects/1/packages/generic/shop/v1/{NAME}"
    links = [{"name": "The app", "url": package}, {"name": "SHA256SUMS", "url": f"{url}/sums"}]
    forge.answers("/projects/org/shop/releases/v1", {"tag_name": "v1", "assets": {"links": links}})
    forge.answers(f"/projects/1/packages/generic/shop/v1/{NAME}", APP)
    forge.answers("/sums", f"{DIGEST}  {NAME}\n".encode())
    gitlab = source_of(forge, tmp_path / "a", "gitlab", assets={"checksums": "SHA256SUMS"})
    assert (await gitlab.resolve("v1")).warnings == ()
    download = f"{url}/org/shop/releases/download/v1/{NAME}"
    signer = Signer()
    assets = [
        {"name": f"{NAME}{end}", "browser_download_url": f"{download}{end}"}
        for end in ("", ".minisig")
    ]
    forge.answers("/repos/org/shop/releases/tags/v1", {"tag_name": "v1", "assets": assets})
    forge.answers(f"/org/shop/releases/download/v1/{NAME}", APP)
    forge.answers(f"/org/shop/releases/download/v1/{NAME}.minisig", signer.sign(APP).encode())
    gitea = source_of(forge, tmp_path / "b", "gitea", minisign=signer.public)
    assert (await gitea.resolve("v1")).commit == DIGEST


async def test_what_a_forge_does_not_have_or_does_not_mean_is_refused(
    forge: Forged, tmp_path: Path
) -> None:
    forge.github(digest=f"sha256:{'0' * 64}")
    tags = "/repos/org/shop/releases/tags"
    other = {"tag_name": "v1", "assets": [{"name": "other", "url": "x"}]}
    away = {
        "tag_name": "v9",
        "assets": [{"name": "app-v9.tar.gz", "url": "https://evil.example/a"}],
    }
    for version, answer in (
        ("v3", {**other, "tag_name": "v3"}), ("v4", other), ("v5", b"<html>"), ("v6", [1]),
        ("v9", away),
    ):  # fmt: skip
        forge.answers(f"{tags}/{version}", answer)
    source = source_of(forge, tmp_path)
    for version, words in (
        ("v1", "has not the checksum that it should have"),
        ("v2", "there is no archive of v2"),
        ("v3", "the release has no file app-v3.tar.gz; it has other"),
        ("v4", "it is of another tag"),
        ("v5", "does not describe a release"),
        ("v6", "does not describe a release"),
        ("v9", "on another host, evil.example"),
    ):
        with pytest.raises(SourceError) as error:
            await source.resolve(version)
        assert words in error.value.message
        assert TOKEN not in "\n".join(error.value.lines())
    with pytest.raises(SourceError, match="there is no archive of v1"):
        await source_of(forge, tmp_path, token=False).resolve("v1")


async def test_a_cached_asset_is_brought_back_without_the_forge(
    forge: Forged, tmp_path: Path
) -> None:
    forge.github()
    source = source_of(forge, tmp_path)
    release = await source.resolve("v1")
    assert "neither sha256 nor" in release.warnings[0]
    forge.server.handlers["/repos/org/shop/releases/tags/v1"] = ArchiveServer.status(503)
    assert "used as cached" in (await source.resolve("v1")).warnings[0]
    forge.server.handlers.clear()
    assert (await source.resolve("v1", pinned=DIGEST)).commit == DIGEST


async def test_a_token_for_archives_by_url_is_for_their_server_only(
    forge: Forged, tmp_path: Path
) -> None:
    forge.answers("/v1.tgz", forge.store)
    (tmp_path / "token").write_text(TOKEN)
    settings = {
        "tarball": f"{forge.server.url}/{{version}}.tgz", "allow_private": True,
        "allowed_hosts": ["localhost"], "token": {"file": str(tmp_path / "token")},
    }  # fmt: skip
    source = TarballSource(
        "shop", Source.model_validate(settings), layout_in(tmp_path), limits=LIMITS
    )
    assert (await source.resolve("v1")).commit == DIGEST
    assert forge.shown == [("/v1.tgz", f"Bearer {TOKEN}"), ("store", None)]
    (tmp_path / "token").unlink()
    with pytest.raises(SourceError, match="token of \\[source\\], is not there"):
        await source.resolve("v1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["tag_name", "assets", "links", "name", "url", "digest"]), inner
        )
    ),
    max_leaves=12,
)


@given(answer=JSON, provider=st.sampled_from(["github", "gitlab", "gitea"]))
def test_whatever_an_api_answers_is_a_release_or_refused(answer: Any, provider: Any) -> None:
    assets = Assets(
        provider=provider, repository="org/shop", name="app", api="https://git.example.org"
    )
    if isinstance(answer, dict):
        answer["tag_name"] = "v1"
    try:
        found = Forge(assets=assets).files(json.dumps(answer), "v1")
    except NoReleaseError:
        return
    assert all(isinstance(asset.url, str) for asset in found.values())
