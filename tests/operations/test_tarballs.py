"""Releases that are archives on a server, through a whole deploy."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from pathlib import Path

from tests.sources.archive_server import ArchiveServer, make_certificate
from tests.stack import Stack, stack


def archive_of(repository: Path, version: str) -> bytes:
    """As forges make them: everything in one directory."""
    done = subprocess.run(
        ["git", f"--git-dir={repository}", "archive", "--format=tar.gz",
         f"--prefix=monitor-{version}/", version],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return done.stdout


def write_app(built: Stack, server: ArchiveServer) -> None:
    path = built.write_app(services=("web",))
    git = next(line for line in path.read_text().splitlines() if line.startswith("git = "))
    source = (
        f'tarball = "{server.url}/{{version}}.tar.gz"\n'
        f'checksums = "{server.url}/SHA256SUMS"\nallow_private = true'
    )
    path.write_text(path.read_text().replace(git, source))


async def publish(built: Stack, server: ArchiveServer, *versions: str) -> dict[str, str]:
    """Put archives of the sample app on the server, with their checksums; these by version."""
    sums = {}
    for version in versions:
        content = await asyncio.to_thread(archive_of, built.repository, version)
        server.files[f"/{version}.tar.gz"] = content
        sums[version] = hashlib.sha256(content).hexdigest()
    lines = "".join(f"{digest}  {version}.tar.gz\n" for version, digest in sums.items())
    server.files["/SHA256SUMS"] = lines.encode()
    return sums


async def test_archives_are_deployed_refused_and_brought_back_like_commits(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    async with ArchiveServer().serve(certificate) as server, stack() as built:
        sums = await publish(built, server, "v1", "v2", "v3-build-fails")
        write_app(built, server)
        await built.serve(prefix=("env", f"SSL_CERT_FILE={certificate}"))
        await built.deploy("v1")
        await built.deploy("v2")
        held = {slot["version"]: slot for slot in (await built.status())["slots"].values()}
        assert {version: slot["commit"] for version, slot in held.items()} == {
            "v1": sums["v1"], "v2": sums["v2"],
        }  # fmt: skip

        # An archive that is not what its checksum says never gets near a slot.
        server.files["/v3-build-fails.tar.gz"] += b"x"
        marker = built.marker()
        refused = await built.cli("deploy", "monitor", "v3-build-fails")
        assert refused.status == 1
        assert "not the checksum" in refused.err
        assert built.marker() == marker
        assert (await built.cli("switch", "back")).status == 0

        # What serves comes up anew from the archive that was verified, whatever is there by now.
        server.files.clear()
        restarted = await built.cli("restart", "monitor")
        assert restarted.status == 0, restarted.out + restarted.err
        status = await built.status()
        assert {slot["commit"] for slot in status["slots"].values()} == {sums["v1"]}
