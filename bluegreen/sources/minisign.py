"""Signatures as minisign(1) makes them: Ed25519 over a file or over its BLAKE2b hash.

The format is that of https://jedisct1.github.io/minisign/: an untrusted comment, the signature, a
trusted comment, and a signature of the two.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import mmap
from dataclasses import dataclass
from typing import BinaryIO

from bluegreen.log_tail import printable
from bluegreen.sources.interruptible import Stop

MOST_BYTES = 2**14  # of a signature file
_CHUNK = 2**20
_TRUSTED = "trusted comment: "
_FILE = "file:"
_ID = slice(2, 10)  # of a key, in keys and signatures; minisign shows it as a number
_PLAIN, _HASHED = b"Ed", b"ED"


class SignatureRefusedError(Exception):
    """The file is not signed by that key; its text is why."""


@dataclass(frozen=True, kw_only=True)
class _Signature:
    algorithm: bytes
    key: bytes
    signature: bytes
    comment: str
    comment_signature: bytes


def verify(file: BinaryIO, text: str, key: str, stop: Stop) -> str:
    """The trusted comment, if ``text`` is a signature by the public key ``key``. Blocking.

    Raises SignatureRefusedError.
    """
    # Imported here: it takes long, and only those pay who have signatures.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    raw = base64.b64decode(key)
    signature = _parse(text)
    if signature.key != raw[_ID]:
        raise SignatureRefusedError(
            f"it is signed by the key {_shown(signature.key)}, and not by {_shown(raw[_ID])}, "
            "which [source] names"
        )
    public = Ed25519PublicKey.from_public_bytes(raw[_ID.stop :])
    try:
        if signature.algorithm == _HASHED:
            public.verify(signature.signature, _hash(file, stop))
        else:
            with (
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
                memoryview(content) as view,
            ):
                public.verify(signature.signature, view)
    except (InvalidSignature, ValueError):  # an empty file cannot be mapped
        raise SignatureRefusedError("it is not what was signed") from None
    try:
        public.verify(
            signature.comment_signature,
            signature.signature + signature.comment.encode(errors="surrogateescape"),
        )
    except InvalidSignature:
        raise SignatureRefusedError("the signature's trusted comment was changed") from None
    return printable(signature.comment)


def signed_name(text: str) -> str | None:
    """The name that a verified signature says its file had; None where it does not say.

    minisign puts it into the trusted comment, unless whoever signs writes another comment.
    """
    for field in _parse(text).comment.split("\t"):
        if field.startswith(_FILE):
            return printable(field.removeprefix(_FILE))
    return None


def key_id(key: str) -> str:
    """The public key's number, as minisign shows it."""
    return _shown(base64.b64decode(key)[_ID])


def _parse(text: str) -> _Signature:
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if len(lines) < 4 or not lines[2].startswith(_TRUSTED):
        raise SignatureRefusedError("there is no minisign signature at its address")
    signature, comment_signature = _decoded(lines[1]), _decoded(lines[3])
    if len(signature) != 74 or len(comment_signature) != 64:
        raise SignatureRefusedError("the signature has not the length of one")
    if signature[:2] not in (_PLAIN, _HASHED):
        raise SignatureRefusedError("the signature is of a kind that is not known")
    return _Signature(
        algorithm=signature[:2], key=signature[_ID], signature=signature[_ID.stop :],
        comment=lines[2].removeprefix(_TRUSTED), comment_signature=comment_signature,
    )  # fmt: skip


def _decoded(line: str) -> bytes:
    with contextlib.suppress(binascii.Error, ValueError):
        raw = base64.b64decode(line, validate=True)
        if base64.b64encode(raw).decode() == line:  # not one of several ways to write it
            return raw
    raise SignatureRefusedError("the signature is no base64")


def _hash(file: BinaryIO, stop: Stop) -> bytes:
    digest = hashlib.blake2b()
    file.seek(0)
    while data := file.read(_CHUNK):
        stop.check()
        digest.update(data)
    return digest.digest()


def _shown(key: bytes) -> str:
    return key[::-1].hex().upper()
