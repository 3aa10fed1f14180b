"""Tokens that servers want to see: read from their files as they are needed, shown nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bluegreen.config.env_file import UnusableFileError
from bluegreen.config.secret_file import SecretFile
from bluegreen.sources import access_errors

MOST_BYTES = 8192
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, kw_only=True)
class WebToken:
    """``value`` is for the servers ``origins``, and sent to no other."""

    value: str = field(repr=False)
    origins: frozenset[tuple[str, str, int]]

    def headers(self, url: str) -> dict[str, str]:
        """What is sent along with a request for ``url``."""
        return {"Authorization": f"Bearer {self.value}"} if origin(url) in self.origins else {}


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an http or https URL (RFC 6454)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def read_token(file: str) -> str:
    """The one line that ``file`` holds. Blocking. Raises SourceError."""
    try:
        token = SecretFile(file=file).read().rstrip("\r\n")
    except UnusableFileError as error:
        if isinstance(error.__cause__, OSError):
            raise access_errors.unreadable("token", file) from error
        raise access_errors.no_token(file) from error
    plain = token.isascii() and token.isprintable() and " " not in token
    if not token or len(token) > MOST_BYTES or not plain:
        raise access_errors.no_token(file)
    return token
