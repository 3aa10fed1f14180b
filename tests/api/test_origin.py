"""From where a request comes, when proxies pass it on."""

from __future__ import annotations

import ipaddress

import pytest

from bluegreen.api.origin import client_address, parsed

PROXIES = [ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("10.0.0.0/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # not a proxy of ours
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.1, 198.51.100.1"], "198.51.100.1"),  # the first is its own word
        ("127.0.0.1", ["192.0.2.1, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.1", "198.51.100.1"], "198.51.100.1"),  # two headers are one
        ("127.0.0.1", ["198.51.100.1, not an address"], "127.0.0.1"),
        ("127.0.0.1", ["10.9.9.9"], "10.9.9.9"),
        ("127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("127.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", [", ".join(["10.0.0.1"] * 1000)], "10.0.0.1"),
    ],
)
def test_the_last_address_that_a_trusted_one_names_counts(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert str(client_address(parsed(peer), forwarded, PROXIES)) == client
