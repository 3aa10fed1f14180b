"""Which addresses a download may reach: those that everybody can.

An app file is trusted, the servers that it names are less so: a redirect or a changed DNS entry
must not make the daemon ask what only this host can reach (SSRF). The address is checked as its
socket is made, so that what was looked at is what is connected to.
"""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits


class PrivateAddressError(OSError):
    """A host has an address that a download may not reach."""


def is_public(address: Address) -> bool:
    """Whether it is neither of this host or its networks nor set aside for something else."""
    if isinstance(address, ipaddress.IPv6Address):
        if (inner := _inside(address)) is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or address.is_loopback
        or address.is_link_local
    )


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that packets to it reach in the end."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


def literal(host: str) -> Address | None:
    """The address that ``host`` is; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


class PublicSockets:
    """Makes sockets for connections to public addresses; ``refused`` are the others."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def __call__(
        self, info: tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]
    ) -> socket.socket:
        """A socket for what getaddrinfo(3) has given. Raises PrivateAddressError."""
        family, kind, protocol, _, address = info
        host = str(address[0])
        found = literal(host.partition("%")[0])
        if found is None or not is_public(found):
            self.refused.append(host)
            raise PrivateAddressError(f"{host} is not a public address")
        return socket.socket(family, kind, protocol)
