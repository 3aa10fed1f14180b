"""Archives and signatures for tests."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bluegreen.sources.archive_rules import MOST_MEMBERS, Bounds
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.unpack import unpack

FILES = {"shop-1/app.py": "one", "shop-1/bin/run": "#!/bin/sh\n", "shop-1/docs/read.me": "read"}


def tar_of(files: Mapping[str, str], *, mode: str = "w:gz", executable: str = "bin/run") -> bytes:
    """A tar archive; ``mode`` as ``tarfile.open`` has it."""

    def fill(archive: tarfile.TarFile) -> None:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content.encode())
            member.mode = 0o755 if name.endswith(executable) else 0o644
            member.mtime = 10**9
            archive.addfile(member, io.BytesIO(content.encode()))

    return tar_by(fill, mode=mode)


def tar_by(fill: Callable[[tarfile.TarFile], None], *, mode: str = "w:gz") -> bytes:
    made = io.BytesIO()
    # The type of a mode is a literal; here it is what a test names.
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        fill(archive)
    return made.getvalue()


def member(
    name: str,
    content: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    to: str = "",
    mode: int = 0o644,
) -> Callable[[tarfile.TarFile], None]:
    """Puts one member into an archive, well-formed or not."""

    def fill(archive: tarfile.TarFile) -> None:
        made = tarfile.TarInfo(name)
        made.type, made.linkname, made.size, made.mode = kind, to, len(content), mode
        archive.addfile(made, io.BytesIO(content))

    return fill


def unpacked(
    archive: bytes, tree: Path, *, most_bytes: int = 2**30, strip: int | None = None,
    members: int = MOST_MEMBERS,
) -> Path:  # fmt: skip
    """Unpack ``archive`` into ``tree``."""
    bounds = Bounds(unpacked=most_bytes, members=members)
    unpack(io.BytesIO(archive), tree, bounds=bounds, strip=strip, stop=Stop())
    return tree


class Signer:
    """A minisign key that signs in both of the formats."""

    def __init__(self, number: int = 1) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
        self._id = bytes([number]) * 8

    @property
    def public(self) -> str:
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(b"Ed" + self._id + raw).decode()

    def sign(self, content: bytes, *, hashed: bool = True, comment: str = "of a test") -> str:
        signed = hashlib.blake2b(content).digest() if hashed else content
        signature = self._key.sign(signed)
        head = (b"ED" if hashed else b"Ed") + self._id
        lines = [
            "untrusted comment: of a test",
            base64.b64encode(head + signature).decode(),
            f"trusted comment: {comment}",
            base64.b64encode(self._key.sign(signature + comment.encode())).decode(),
        ]
        return "\n".join(lines) + "\n"
