"""Which addresses a download may reach."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from bluegreen.sources.addresses import PrivateAddressError, PublicSockets, is_public, literal

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
    "::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "fec0::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::",
    "2002:a9fe:a9fe::", "::127.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_never_connected_to(address: str) -> None:
    found = literal(f"[{address}]")
    assert found is not None
    assert not is_public(found)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sockets = PublicSockets()
    with pytest.raises(PrivateAddressError):
        sockets((family, socket.SOCK_STREAM, 0, "", (address, 443)))
    assert sockets.refused == [address]


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "140.82.121.4", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_what_is_public_is(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "localhost", "a.example"])
def test_what_only_the_resolver_takes_for_an_address_is_a_name(host: str) -> None:
    assert literal(host) is None
