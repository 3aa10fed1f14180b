"""What two apps of one host, or two services of one app, cannot both have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from bluegreen.config.api_section import IpAddress, split_address
from bluegreen.config.draft import Draft
from bluegreen.config.places import Place, dotted
from bluegreen.config.problems import Finding
from bluegreen.layout import LONGEST_SOCKET_PATH, Layout
from bluegreen.model import Slot


@dataclass(frozen=True, kw_only=True)
class Claimant:
    """An app file as far as it was understood."""

    file: Path
    draft: Draft


@dataclass(frozen=True)
class _Claim:
    claimant: Claimant
    place: Place
    instance: str = ""  # "instance 3 of 3", whose port is not the one that is written there

    def seen_from(self, other: Claimant) -> str:
        """``services.api.ports.blue`` or, from another file, that with app and file."""
        key = dotted(self.place)
        if self.instance:
            key = f"{key} ({self.instance})"
        if other is self.claimant:
            return key
        return f"{key} of app {self.claimant.draft.name} ({self.claimant.file})"


@dataclass
class _Host:
    """What has been claimed so far. ``api`` is where the daemon itself listens over TCP."""

    api: tuple[IpAddress, int] | None = None
    names: dict[str, _Claim] = field(default_factory=dict)
    slot_ports: dict[int, _Claim] = field(default_factory=dict)
    listen_ports: dict[int, _Claim] = field(default_factory=dict)
    sockets: dict[Path, _Claim] = field(default_factory=dict)
    replaced: dict[int | Path, _Claim] = field(default_factory=dict)  # ports of here, and sockets
    listens: list[tuple[IpAddress, int, _Claim]] = field(default_factory=list)  # nginx
    targets: list[tuple[str, _Claim]] = field(default_factory=list)  # each replaces with a port
    sites: dict[tuple[str, str], _Claim] = field(default_factory=dict)


def conflicts(
    claimants: Sequence[Claimant], layout: Layout, api: str | None = None
) -> Iterator[tuple[Claimant, Finding]]:
    """Who claims what an earlier one of ``claimants`` has claimed, or ``listen`` of ``[api]``."""
    host = _Host(api=None if api is None else split_address(api))
    for claimant in claimants:
        for finding in (
            *_name(host, claimant),
            *_slots(host, claimant, layout),
            *_site(host, claimant),
            *_replaced(host, claimant),
        ):
            yield claimant, finding


def claimed_besides(claimant: Claimant, layout: Layout, api: str) -> list[str]:
    """What of an app has ``listen`` of ``[api]``, too: ``services.web.ports.blue of app shop (…)``.

    For who asks about the daemon's file alone: of the app's, nothing is told then.
    """
    without = {finding for _, finding in conflicts([claimant], layout)}
    found = (finding for _, finding in conflicts([claimant], layout, api))
    places = dict.fromkeys(finding.place for finding in found if finding not in without)
    return [f"{dotted(place)} of app {claimant.draft.name} ({claimant.file})" for place in places]


def _name(host: _Host, claimant: Claimant) -> Iterator[Finding]:
    claim = _Claim(claimant, ("app", "name"))
    if (
        claimant.draft.name
        and (holder := host.names.setdefault(claimant.draft.name, claim)) != claim
    ):
        yield Finding(
            place=claim.place,
            wrong=f'"{claimant.draft.name}" is also the app of {holder.claimant.file}',
            right="Keep one file for the app",
        )


def _slots(host: _Host, claimant: Claimant, layout: Layout) -> Iterator[Finding]:
    run = layout.app(claimant.draft.name).run
    for name, service in claimant.draft.services.items():
        if service.settings is None:
            continue
        kind = "ports" if service.settings.ports is not None else "sockets"
        for slot in Slot:
            claim = _Claim(claimant, ("services", name, kind, slot.value))
            found: list[Finding] = []
            instances = service.settings.instances
            for number, address in enumerate(service.settings.addresses(slot, run), 1):
                if address.port is not None:
                    of_several = f"instance {number} of {instances}" if number > 1 else ""
                    found += _port(host, replace(claim, instance=of_several), address.port)
                if address.socket is not None:
                    found += _socket(host, claim, address.socket)
            yield from _once(found, instances)


def _once(found: Sequence[Finding], instances: int) -> Iterator[Finding]:
    """Of a range of ports the first that is in the way says enough."""
    if found and instances > 1:
        only = found[0]
        yield replace(only, wrong=f"of its {instances} instances: {only.wrong}")
    else:
        yield from found


def _replaced(host: _Host, claimant: Claimant) -> Iterator[Finding]:
    """What ran before bluegreen, at an address of a slot, which is there for releases."""
    for name, service in claimant.draft.services.items():
        if service.settings is None or service.settings.replaces is None:
            continue
        replaced = service.settings.replaces
        yield from _sent_in_a_circle(
            host, _Claim(claimant, ("services", name, "replaces")), replaced
        )
        if (address := _address_here(replaced)) is None:
            continue
        host.replaced.setdefault(address, _Claim(claimant, ("services", name, "replaces")))
        if (holder := _holder(host, address)) is None:
            continue
        right = "Give the slots ports of their own: what is replaced runs beside them"
        if holder.claimant is not claimant:
            right = "Write where what ran before bluegreen listens, or remove it if nothing did"
        yield Finding(
            place=("services", name, "replaces"),
            wrong=f"{replaced} is also {holder.seen_from(claimant)}",
            right=right,
        )


def _sent_in_a_circle(host: _Host, claim: _Claim, replaced: str) -> Iterator[Finding]:
    """Where nginx would send to itself, or to the daemon, what is for the old program."""
    if replaced.startswith("/"):
        return
    host.targets.append((replaced, claim))
    for address, port, listen in host.listens:
        if _reached(replaced, address, port):
            yield Finding(
                place=claim.place,
                wrong=f"{replaced} is also {listen.seen_from(claim.claimant)}",
                right="Write the address at which the old program itself listens, or give nginx "
                "another one",
            )
            return
    if host.api is not None and _reached(replaced, *host.api):
        yield Finding(
            place=claim.place,
            wrong=f"{replaced} is also listen of [api] in bluegreen.toml",
            right="Write the address at which the old program itself listens, or give [api] "
            "another one",
        )


def _reached(target: str, address: IpAddress, port: int) -> bool:
    """Whether who connects to ``target`` reaches what listens on ``address`` of this host."""
    text, _, number = target.rpartition(":")
    where = ip_address(text.strip("[]"))
    if int(number) != port or where.version != address.version:
        return False
    if where.is_unspecified:  # Linux connects to the loopback address then
        where = ip_address("127.0.0.1" if where.version == 4 else "::1")
    return where == address or (address.is_unspecified and where.is_loopback)


def _holder(host: _Host, address: int | Path) -> _Claim | None:
    """The slot that listens there."""
    if isinstance(address, Path):
        return host.sockets.get(address)
    return host.slot_ports.get(address)


def _address_here(replaced: str) -> int | Path | None:
    """The port or the socket. Another host's port is nobody's here."""
    if replaced.startswith("/"):
        return Path(replaced)
    address, _, port = replaced.rpartition(":")
    where = ip_address(address.strip("[]"))
    return int(port) if where.is_loopback or where.is_unspecified else None


def _port(host: _Host, claim: _Claim, port: int) -> Iterator[Finding]:
    if _is_the_daemons(host, IPv4Address("127.0.0.1"), port):
        yield Finding(
            place=claim.place,
            wrong=f"port {port} is also listen of [api] in bluegreen.toml",
            right="Give each service of each slot a port that nothing else on the host uses",
        )
    other = host.listen_ports.get(port) or host.replaced.get(port)
    holder = other or host.slot_ports.setdefault(port, claim)
    if holder is not claim:
        yield Finding(
            place=claim.place,
            wrong=f"port {port} is also {holder.seen_from(claim.claimant)}",
            right="Give each service of each slot a port that nothing else on the host uses",
        )


def _is_the_daemons(host: _Host, address: IpAddress, port: int) -> bool:
    if host.api is None or host.api[1] != port:
        return False
    return host.api[0] == address or host.api[0].is_unspecified or address.is_unspecified


def _socket(host: _Host, claim: _Claim, socket: Path) -> Iterator[Finding]:
    holder = host.replaced.get(socket) or host.sockets.setdefault(socket, claim)
    if holder is not claim:
        yield Finding(
            place=claim.place,
            wrong=f"the socket {socket} is also {holder.seen_from(claim.claimant)}",
            right="Give each service of each slot a socket of its own",
        )
    length = len(str(socket).encode())
    if length > LONGEST_SOCKET_PATH:
        yield Finding(
            place=claim.place,
            wrong=f"the socket's path is {length} bytes long, and sockets may have "
            f"{LONGEST_SOCKET_PATH}: {socket}",
            right="Write a shorter path, absolute if need be",
        )


def _site(host: _Host, claimant: Claimant) -> Iterator[Finding]:
    nginx = claimant.draft.nginx
    if nginx is None or nginx.mode != "site":
        return
    for index, listen in enumerate(nginx.listen):
        claim = _Claim(claimant, ("nginx", "listen", index))
        address, _, text = listen.rpartition(":")
        port = int(text)
        host.listen_ports.setdefault(port, claim)
        where = ip_address(address.strip("[]") or "0.0.0.0")  # noqa: S104
        host.listens.append((where, port, claim))
        for target, replaces in host.targets:
            if _reached(target, where, port):
                yield Finding(
                    place=claim.place,
                    wrong=f"{target} is also {replaces.seen_from(claimant)}",
                    right="Let nginx listen on an address that nothing else uses",
                )
                break
        if _is_the_daemons(host, where, port):
            yield Finding(
                place=claim.place,
                wrong=f"port {port} is also listen of [api] in bluegreen.toml",
                right="Give one of the two another port, or another address",
            )
        if holder := host.slot_ports.get(port):
            yield Finding(
                place=claim.place,
                wrong=f"port {port} is also {holder.seen_from(claimant)}",
                right="Let nginx listen on a port that no service uses",
            )
        for name, server_name in _server_names(claimant):
            site = (f"{address or '0.0.0.0'}:{port}", server_name.lower())  # noqa: S104
            if (other := host.sites.setdefault(site, name)).claimant is not claimant:
                yield Finding(
                    place=name.place,
                    wrong=f"{_asked(server_name)} on {listen} is answered by "
                    f"app {other.claimant.draft.name} ({other.claimant.file})",
                    right="Give each app a server_name or a listen of its own",
                )


def _server_names(claimant: Claimant) -> Iterator[tuple[_Claim, str]]:
    """What its site answers to, and its preview, which is on the same addresses."""
    sections = {"nginx": claimant.draft.nginx, "preview": claimant.draft.preview}
    for key, section in sections.items():
        for number, name in enumerate(section.server_name if section else ()):
            yield _Claim(claimant, (key, "server_name", number)), name


def _asked(server_name: str) -> str:
    return "any name" if server_name == "_" else f'"{server_name}"'
