"""Checksums and signatures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bluegreen.sources import minisign
from bluegreen.sources.checksums import ChecksumError, digest_of
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.minisign import SignatureRefusedError
from tests.sources.archives import Signer

ONE, TWO = "a" * 64, "b" * 64
CONTENT = b"a release"


@pytest.mark.parametrize(
    "text",
    [
        f"{TWO}  other\n{ONE}  shop.tar.gz\n",
        f"{ONE} *shop.tar.gz\r\n",
        f"{ONE}  ./shop.tar.gz",
        f"SHA256 (shop.tar.gz) = {ONE}\nSHA256 (other) = {TWO}",
        f"{ONE.upper()}  shop.tar.gz",
        f"# made by hand\n\n{ONE}  shop.tar.gz\n{ONE}  shop.tar.gz\n",
        f"{ONE}\n",
    ],
)
def test_the_checksum_of_a_file_is_found(text: str) -> None:
    assert digest_of("shop.tar.gz", text) == ONE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        f"{ONE}  shop.tar.gz.sig",
        f"{ONE}  x/shop.tar.gz",
        f"{ONE[1:]}  shop.tar.gz",
        f"{ONE}\n{TWO}\n",
        f"{ONE}  shop.tar.gz\n{TWO}  shop.tar.gz",
        f"SHA512 (shop.tar.gz) = {ONE}",
    ],
)
def test_a_checksum_that_is_not_plain_is_none(text: str) -> None:
    with pytest.raises(ChecksumError):
        digest_of("shop.tar.gz", text)


def verified(tmp_path: Path, text: str, key: str, content: bytes = CONTENT) -> str:
    file = tmp_path / "file"
    file.write_bytes(content)
    with file.open("rb") as opened:
        return minisign.verify(opened, text, key, Stop())


@pytest.mark.parametrize("hashed", [True, False])
def test_a_signature_is_good_for_what_was_signed_by_its_key_alone(
    tmp_path: Path, hashed: bool
) -> None:
    signer = Signer()
    text = signer.sign(CONTENT, hashed=hashed, comment="timestamp:1\tfile:shop")
    assert verified(tmp_path, text, signer.public) == "timestamp:1\tfile:shop"
    for content in (CONTENT + b"x", b""):
        with pytest.raises(SignatureRefusedError, match="not what was signed"):
            verified(tmp_path, text, signer.public, content)
    with pytest.raises(SignatureRefusedError, match="by the key 0101010101010101, and not by 02"):
        verified(tmp_path, text, Signer(2).public)


@pytest.mark.parametrize("hashed", [True, False])
def test_one_flipped_bit_anywhere_in_what_counts_is_refused(tmp_path: Path, hashed: bool) -> None:
    signer = Signer()
    text = signer.sign(CONTENT, hashed=hashed)
    lines = text.splitlines(keepends=True)
    start = len(lines[0])  # the first line is the comment that nobody signs
    for place in range(start, len(text) - 1):
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        with pytest.raises(SignatureRefusedError):
            verified(tmp_path, changed, signer.public)


@pytest.mark.parametrize(
    "text", ["", "<html>not found</html>", "a\nb\nc\nd\n", "a\nQQ==\ntrusted comment: x\nQQ==\n"]
)
def test_what_is_no_signature_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SignatureRefusedError):
        verified(tmp_path, text, Signer().public)


@pytest.mark.parametrize("option", ["-H", "-l"])
def test_signatures_of_the_real_program_are_good(tmp_path: Path, option: str) -> None:
    def run(*arguments: str) -> None:
        subprocess.run(
            ["minisign", *arguments], cwd=tmp_path, check=True, timeout=60, capture_output=True
        )

    (tmp_path / "file").write_bytes(CONTENT)
    run("-G", "-W", "-p", "key.pub", "-s", "key")
    run("-S", option, "-s", "key", "-m", "file", "-t", "a trusted comment")
    key = (tmp_path / "key.pub").read_text().splitlines()[1]
    text = (tmp_path / "file.minisig").read_text()
    assert verified(tmp_path, text, key) == "a trusted comment"
    with pytest.raises(SignatureRefusedError):
        verified(tmp_path, text, key, b"another")
