"""Which address a request came from, as far as those in between are trusted to say so."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from ipaddress import IPv6Address

from bluegreen.config.api_section import IpAddress, Network

MOST_HOPS = 16


@functools.lru_cache(maxsize=1024)  # most requests come from where others came from
def parsed(text: str) -> IpAddress:
    """An address as it is; an IPv4 one that came in over IPv6 as IPv4. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def guest_of(address: IpAddress) -> str:
    """What counts as one: an address, and of IPv6 a /64, of which whoever has one has all."""
    if isinstance(address, IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def is_trusted(address: IpAddress, proxies: Sequence[Network]) -> bool:
    return any(address in network for network in proxies if network.version == address.version)


def client_address(
    peer: IpAddress, forwarded: Sequence[str], proxies: Sequence[Network]
) -> IpAddress:
    """The last address that a trusted one names; ``forwarded`` is X-Forwarded-For.

    What stands before it in the header was written by whoever asks.
    """
    address = peer
    hops = [hop.strip() for header in forwarded for hop in header.split(",")]
    for hop in reversed(hops[-MOST_HOPS:]):
        if not is_trusted(address, proxies):
            break
        try:
            address = parsed(hop)
        except ValueError:
            break
    return address
