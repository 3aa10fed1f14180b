"""Which addresses of archives are taken: plain https, and http where the app file allows it.

An app file is read by many, so a URL in it holds no credentials; and a version, which whoever asks
for a deploy chooses, is never part of the host.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import urlsplit

from bluegreen.config.refusal import ValueRefusedError

_RIGHT = 'Write the URL of an archive, such as "https://example.org/shop-{version}.tar.gz"'
_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[?[0-9A-Fa-f:.]+\]?")
_KEY_BYTES = 42  # of a minisign public key: algorithm, key id, Ed25519 key


def check_archive_url(url: str) -> str:
    """Return ``url``; raises ValueRefusedError, whose text never repeats it."""
    if not url.isascii() or any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise ValueRefusedError(
            "a URL holds no blanks, control characters or letters beyond ASCII",
            "Write them percent-encoded: %20 for a space",
        )
    try:
        parts = urlsplit(url)
        _ = parts.port  # is only parsed when it is asked for
    except ValueError:
        # Without the cause: its text quotes the URL.
        raise ValueRefusedError("the URL's host or port cannot be read", _RIGHT) from None
    if parts.scheme not in ("https", "http"):
        raise ValueRefusedError("this is not the https URL of an archive", _RIGHT)
    if parts.username is not None or parts.password is not None:
        raise ValueRefusedError(
            "the URL holds credentials",
            "Keep them out of the app file: it is read by many",
        )
    if "{" in parts.netloc or "}" in parts.netloc:
        raise ValueRefusedError(
            "a placeholder in the host would let a version choose the server",
            "Write the host in full, and {version} in the path",
        )
    if not parts.hostname or not _HOST.fullmatch(parts.hostname) or parts.hostname[0] == "*":
        raise ValueRefusedError("the URL names no usable host", _RIGHT)
    if parts.fragment or "#" in url:
        raise ValueRefusedError("a fragment (#…) is never sent to a server", "Remove it")
    return url


def check_host(host: str) -> str:
    """A host that redirects may lead to: a name, ``*.`` and a name, or an address."""
    if not _HOST.fullmatch(host):
        raise ValueError('a host without scheme and port: "cdn.example.org" or "*.example.org"')
    return host.lower()


def check_repository(name: str) -> str:
    """On a forge; GitLab has groups in groups."""
    parts = name.split("/")
    if len(parts) < 2 or not all(re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", part) for part in parts):
        raise ValueError('a repository as the forge calls it: "owner/name"')
    if {".", ".."} & set(parts):
        raise ValueError('a repository as the forge calls it: "owner/name"')
    return name


def check_asset_name(name: str) -> str:
    if not 0 < len(name) <= 255 or "/" in name or not name.isprintable():
        raise ValueError('the name of a file of the release: "app-{version}.tar.gz"')
    return name


def check_sha256(digest: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise ValueError("the SHA-256 of the archive: 64 hexadecimal digits, as sha256sum says it")
    return digest.lower()


def check_minisign_key(key: str) -> str:
    """A public key as ``minisign -G`` prints it: one line of base64."""
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _KEY_BYTES or raw[:2] != b"Ed":
        raise ValueError(
            'a minisign public key: the second line of the file minisign.pub, such as "RWQ…"'
        )
    return key
