"""``[api]`` of the daemon's file: who may ask, and on which addresses."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import AbsolutePath, Switch

IpAddress = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Role = Literal["read", "deploy", "switch", "admin"]


def _listen(value: str) -> str:
    if re.fullmatch(r"(?:[0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}", value):
        with contextlib.suppress(ValueError):
            _, port = split_address(value)
            if 0 < port < 65536:
                return value
    raise ValueError('an IP address and a port: "127.0.0.1:8765", "[::1]:8765"')


def split_address(listen: str) -> tuple[IpAddress, int]:
    """Address and port of ``"127.0.0.1:8765"``; ValueError where there are none."""
    address, _, port = listen.rpartition(":")
    return ipaddress.ip_address(address.strip("[]")), int(port)


def _network(value: Any) -> Any:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return ipaddress.ip_network(value)
    raise ValueError('an IP address, or a network such as "10.0.0.0/8"')


def _group(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", value):
        raise ValueError('the name of a group of this host, such as "deployers"')
    return value


IpNetwork = Annotated[Network, BeforeValidator(_network)]
GroupName = Annotated[str, AfterValidator(_group)]


class Tls(Section):
    """``tls`` of ``[api]``: PEM files, the certificate with those that signed it."""

    certificate: AbsolutePath
    key: AbsolutePath


class ApiSection(Section):
    """``[api]``. Without ``listen`` the unix socket is all that answers."""

    tls: Tls | None = None
    plain: Switch = False  # True: tokens cross a network in the clear, and that is meant
    status_page: Switch = False  # whoever reaches ``listen`` may see which apps are up
    trusted_proxies: tuple[IpNetwork, ...] = ()
    group: GroupName | None = None  # that may use the socket; None: as it is made
    # What members of a group may do on the socket; none: whoever may use it may do everything.
    roles: dict[GroupName, Role] = Field(default={})
    listen: Annotated[str, AfterValidator(_listen)] | None = None  # judged by those above it

    @field_validator("listen")
    @classmethod
    def _never_in_the_clear(cls, listen: str | None, info: ValidationInfo) -> str | None:
        if listen is None or not {"tls", "plain"} <= info.data.keys():
            return listen
        address, _ = split_address(listen)
        if not address.is_loopback and info.data["tls"] is None and not info.data["plain"]:
            raise ValueRefusedError(
                f"{listen} can be reached from other hosts, and tokens would go there in the clear",
                'Add tls = { certificate = "/path", key = "/path" }; or listen on "127.0.0.1:8765" '
                "and let nginx end TLS in front of it; or, on a network that is secured otherwise, "
                "plain = true",
            )
        return listen

    @property
    def address(self) -> tuple[IpAddress, int] | None:
        """Where to listen, None: the unix socket only."""
        return None if self.listen is None else split_address(self.listen)
