"""A listening socket."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

Host = ipaddress.IPv4Address | ipaddress.IPv6Address
_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")


def packed_host(packed: bytes) -> Host:
    """The address in 4 or 16 bytes of network order."""
    return ipaddress.IPv4Address(packed) if len(packed) == 4 else ipaddress.IPv6Address(packed)


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A host and port, or the path it was bound to. ``inode`` names the socket while it lives.

    ``control_group`` is the ID of the one in which a TCP socket was made; None from a kernel that
    does not tell (before 5.8), and for other sockets.
    """

    inode: int
    host: Host | None = None
    port: int | None = None
    ipv6_only: bool = False  # takes no IPv4; not known from /proc
    path: str | None = None
    control_group: int | None = None

    def __str__(self) -> str:
        if self.host is None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if self.host.version == 6 else str(self.host)
        return f"{host}:{self.port}"

    @property
    def answers_loopback(self) -> bool:
        """Whether a connection to 127.0.0.1 can reach it."""
        if self.host is None:
            return False
        if self.host.version == 4:
            return self.host.is_unspecified or self.host == _LOOPBACK
        mapped = self.host.ipv4_mapped
        if mapped is not None:
            return mapped.is_unspecified or mapped == _LOOPBACK
        return self.host.is_unspecified and not self.ipv6_only
