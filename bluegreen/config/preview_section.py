"""``[preview]``: a name of its own for the slot that does not serve."""

from __future__ import annotations

from ipaddress import IPv6Network
from typing import Annotated

from pydantic import AfterValidator, model_validator

from bluegreen.config.api_section import IpNetwork, Network
from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import check_server_name


def _of_its_own(name: str) -> str:
    if name == "_":
        raise ValueRefusedError(
            "visitors who ask for any other name would see what does not serve",
            'Write a host name of its own, such as "next.example.org"',
        )
    try:
        return check_server_name(name)
    except ValueError:  # which would name "_" among what is right
        raise ValueError('a host name such as "next.example.org" or "*.next.example.org"') from None


def _known_to_nginx(network: Network) -> Network:
    if "%" in str(network):  # nginx knows none
        address = network.network_address
        raise ValueRefusedError(f"{address} is an address on one link", "Write it without the zone")
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if network.prefixlen == 0 or (mapped is not None and network.prefixlen == 96):
        raise ValueRefusedError(
            f"{network} is everybody, who would all see the idle slot without a key",
            'Write the networks of those who may, such as "10.0.0.0/8"; without allow, a key shows '
            "the idle slot to whom it is given",
        )
    if mapped is not None and network.prefixlen >= 96:  # nginx looks such clients up as IPv4
        raise ValueRefusedError(
            f"{network.network_address} is an IPv4 address written as one of IPv6, and no client "
            "would be found by it",
            f'Write "{mapped}/{network.prefixlen - 96}"',
        )
    return network


def _each_once(networks: tuple[Network, ...]) -> tuple[Network, ...]:
    for index, network in enumerate(networks):
        if network in networks[:index]:
            raise ValueRefusedError(f"{network} is listed twice", "Keep one of them")
    return networks


_Allowed = Annotated[IpNetwork, AfterValidator(_known_to_nginx)]


class PreviewSection(Section):
    """``[preview]``. ``allow`` are those who need no key under that name."""

    server_name: tuple[Annotated[str, AfterValidator(_of_its_own)], ...] = ()
    allow: Annotated[tuple[_Allowed, ...], AfterValidator(_each_once)] = ()

    @model_validator(mode="after")
    def _somewhere(self) -> PreviewSection:
        if self.allow and not self.server_name:
            raise ValueRefusedError(
                "addresses of allow see the idle slot under a name of its own, and there is none",
                'Add one, such as server_name = ["next.example.org"], or remove allow',
            )
        return self
