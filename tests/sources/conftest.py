"""Repositories and servers that tests fetch from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sources.archive_server import ArchiveServer, make_certificate
from tests.sources.repositories import Repository
from tests.sources.tarballs import V1, V2


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "origin")
    made.commit({"app.py": "one"}, tag="v1")
    made.commit({"app.py": "two", "docs/readme": "read"}, tag="v2")
    return made


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a server on loopback; clients in this process trust it."""
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made))
    return made


@pytest.fixture
async def server(certificate: Path) -> AsyncIterator[ArchiveServer]:
    async with ArchiveServer().serve(certificate) as serving:
        yield serving


@pytest.fixture
def releases(server: ArchiveServer) -> None:
    """Two archives are there."""
    server.files.update({"/v1.tar.gz": V1, "/v2.tar.gz": V2})
