"""What a load sends and where: for a caller in Python and on the command line alike."""

from __future__ import annotations

import argparse
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass

from bluegreen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class LoadSettings:
    """A load against one site. Times in seconds, sizes in bytes, rates in bytes a second.

    Raises UsageError for a ``url`` that is not ``http://HOST[:PORT]``.
    """

    url: str
    connections: int = 64
    websockets: int = 20
    downloads: int = 10
    think: float = 0.0  # between an answer and the next POST of that connection
    message_interval: float = 0.25  # between an echo and the next message of that WebSocket
    timeout: float = 10.0  # for every answer, every echo, and between two parts of a download
    hosts: tuple[str, ...] = ()  # Host headers, dealt out among the visitors; empty: the url's
    post_path: str = "/api/echo"
    websocket_path: str = "/ws/terminal"
    download_path: str = "/download"  # asked for with ?size=…&rate=…
    download_bytes: int = 400_000
    download_rate: int = 100_000

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
            raise UsageError(
                f"{self.url!r} is not the address of a site",
                remedy='give one such as "http://127.0.0.1:8080"',
            )

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect: host and port."""
        parts = urllib.parse.urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    def host(self, index: int) -> str:
        """The Host header of the visitor with that number."""
        if self.hosts:
            return self.hosts[index % len(self.hosts)]
        return urllib.parse.urlsplit(self.url).netloc

    @property
    def download_target(self) -> str:
        return f"{self.download_path}?size={self.download_bytes}&rate={self.download_rate}"

    def arguments(self) -> list[str]:
        """The same settings as arguments of ``python -m bluegreen.demo.load``."""
        plain = [
            f"--{name.replace('_', '-')}={getattr(self, name)}"
            for name in ("url", *_NUMBERS, *_PATHS)
        ]
        return plain + [f"--host={host}" for host in self.hosts]


_NUMBERS = {
    "connections": int,
    "websockets": int,
    "downloads": int,
    "think": float,
    "message_interval": float,
    "timeout": float,
    "download_bytes": int,
    "download_rate": int,
}
_PATHS = ("post_path", "websocket_path", "download_path")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options for every setting, with its default."""
    parser.add_argument("--url", required=True, help="the site, http://HOST:PORT")
    parser.add_argument("--host", action="append", default=[], dest="hosts", help="Host header")
    for name, kind in _NUMBERS.items():
        default = getattr(LoadSettings, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default)
    for name in _PATHS:
        parser.add_argument(f"--{name.replace('_', '-')}", default=getattr(LoadSettings, name))


def from_arguments(arguments: argparse.Namespace) -> LoadSettings:
    """The settings that ``add_arguments`` took in."""
    hosts: Sequence[str] = arguments.hosts
    values = {name: getattr(arguments, name) for name in ("url", *_NUMBERS, *_PATHS)}
    return LoadSettings(hosts=tuple(hosts), **values)
