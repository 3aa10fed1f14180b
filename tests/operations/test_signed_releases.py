"""Releases that have to be signed, through whole operations: nothing of what is not ever runs."""

from __future__ import annotations

from pathlib import Path

from tests.sources.repositories import git
from tests.sources.signers import Signer, ssh_signer
from tests.stack import Stack, stack


def write_app(built: Stack, signers: Path) -> None:
    path = built.write_app(services=("web",))
    text = path.read_text()
    line = next(one for one in text.splitlines() if one.startswith("git = "))
    path.write_text(text.replace(line, f'{line}\nverify = {{ ssh_signers = "{signers}" }}'))


def sign(built: Stack, signer: Signer, version: str) -> None:
    """Make a signed tag of the lightweight one."""
    options = [argument for setting in signer.how for argument in ("-c", setting)]
    git(built.repository, *options, "tag", "--force", "-s", "-m", "x", version, f"{version}^{{}}")


async def test_what_is_not_signed_is_neither_deployed_nor_brought_back(tmp_path: Path) -> None:
    alice, public = ssh_signer(tmp_path, "alice")
    mallory, _ = ssh_signer(tmp_path, "mallory")
    signers = tmp_path / "signers"
    signers.write_text(f"alice@example.org {public}\n")
    async with stack() as built:
        write_app(built, signers)
        sign(built, alice, "v1")
        await built.serve()
        done = await built.deploy("v1")
        assert "is signed by alice@example.org (ED25519 key SHA256:" in done.out
        marker = built.marker()
        trees = sorted(built.layout.app("monitor").trees.iterdir())
        for signer in (None, mallory):
            if signer is not None:
                sign(built, signer, "v2")
            refused = await built.cli("deploy", "monitor", "v2")
            assert refused.status == 1
            assert "v2 is refused" in refused.err
            assert f"signed by a key of {signers}" in refused.err
        # No file of it was laid out, and what serves is what served.
        assert sorted(built.layout.app("monitor").trees.iterdir()) == trees
        assert built.marker() == marker
        sign(built, alice, "v2")
        await built.deploy("v2")
        # Alice's key is taken back: what is there as a tree is started anew by nobody.
        signers.write_text((tmp_path / "mallory.pub").read_text().replace("ssh-", "m@x ssh-", 1))
        for command in (("rollback", "monitor", "--to", "v1"), ("restart", "monitor")):
            refused = await built.cli(*command)
            assert refused.status == 1, refused.out
            assert "is refused: the tag" in refused.err
        assert (await built.cli("switch", "back")).status == 0
