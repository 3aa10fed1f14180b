"""``[preview]``: a name of its own for the slot that does not serve."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, model_validator

from bluegreen.config.api_section import IpNetwork, Network
from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import ServerName


def _of_its_own(name: str) -> str:
    if name == "_":
        raise ValueRefusedError(
            "visitors who ask for any other name would see what does not serve",
            'Write a host name of its own, such as "next.example.org"',
        )
    return name


def _without_zone(network: Network) -> Network:
    if "%" in str(network):  # nginx knows none
        raise ValueRefusedError(f"{network} is an address on one link", "Write it without the zone")
    return network


class PreviewSection(Section):
    """``[preview]``. ``allow`` are those who need no key under that name."""

    server_name: tuple[Annotated[ServerName, AfterValidator(_of_its_own)], ...] = ()
    allow: tuple[Annotated[IpNetwork, AfterValidator(_without_zone)], ...] = ()

    @model_validator(mode="after")
    def _somewhere(self) -> PreviewSection:
        if self.allow and not self.server_name:
            raise ValueRefusedError(
                "addresses of allow see the idle slot under a name of its own, and there is none",
                'Add one, such as server_name = ["next.example.org"], or remove allow',
            )
        return self
