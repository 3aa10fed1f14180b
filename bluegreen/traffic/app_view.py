"""An app as the nginx templates see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.settings import AppSettings, Service
from bluegreen.errors import ConfigError
from bluegreen.gate.hold_file import CLOSED, HOLD, SPECIAL
from bluegreen.layout import LONGEST_SOCKET_PATH, AppLayout, Layout
from bluegreen.model import Address, Slot, SwitchMode, Traffic
from bluegreen.traffic.markers import WATCH
from bluegreen.traffic.quoting import Directive, quoted, quoted_before
from bluegreen.traffic.shares import SHARE

WEBSOCKET_TIMEOUT = 3600.0  # seconds that a WebSocket may be silent, at least


def socket_path(path: Path) -> Path:
    """``path``, if it is short enough for a unix socket; otherwise a ConfigError."""
    length = len(bytes(path))
    if length > LONGEST_SOCKET_PATH:
        raise ConfigError(
            f"the path of the socket {path} is {length} bytes long; "
            f"a unix socket may have {LONGEST_SOCKET_PATH}",
            remedy="use a shorter --root, or shorter names for the app and its services",
        )
    return path


def preview_socket(app: AppLayout) -> Path:
    """Where nginx has the routes of a snippet, for the gate."""
    return app.nginx_sockets / "preview.nginx.sock"


def template_id(app: str) -> str:
    """``app`` as part of a variable name. App names have no underscore, so none collide."""
    return app.replace("-", "_")


def slot_variable(app: str) -> Directive:
    """Names what nginx has found to be the app's slot. Short: nginx's default hash allows 46."""
    return Directive(f"$bg_{template_id(app)}")


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


@dataclass(frozen=True, kw_only=True)
class ServiceView:
    """A service that answers requests. ``addresses`` of its instances are nginx's, by slot name."""

    name: str
    addresses: Mapping[str, tuple[str, ...]]
    keepalive: int
    hop_socket: Path
    replaces: str | None  # nginx's address of what serves until the first release is active

    @property
    def connection(self) -> Directive:
        return Directive("close" if self.keepalive == 0 else '""')

    @property
    def connection_upgrade(self) -> Directive:
        kind = "close" if self.keepalive == 0 else "keep"
        return Directive(f"$bluegreen_connection_{kind}")


@dataclass(frozen=True, kw_only=True)
class RouteView:
    path: str
    service: ServiceView
    websocket: bool
    timeout_ms: int
    has_assets: bool


@dataclass(frozen=True, kw_only=True)
class AssetsView:
    """Where nginx finds what is asked for among the assets, as arguments of its directives."""

    named: Path  # the directory, as nginx is to name it
    in_full: Path
    slot: Directive  # that the request goes to: a variable, or its name

    @property
    def own(self) -> Directive:
        """The file of that slot."""
        return self._argument(f"{self.named}/", "$uri")

    @property
    def beside(self) -> Directive:
        """The file of the other one."""
        return self._argument(f"{self.named}/beside-", "$uri")

    @property
    def beside_root(self) -> Directive:
        """In full: for this, nginx would not look from where its workers work."""
        return self._argument(f"{self.in_full}/beside-", "")

    def _argument(self, path: str, behind: str) -> Directive:
        if self.slot.startswith("$"):
            return quoted_before(path, f"{self.slot}{behind}")
        return quoted_before(path + self.slot, behind) if behind else quoted(path + self.slot)


@dataclass(frozen=True, kw_only=True)
class AppView:
    """``constant_slot`` is set where the slot is written into the file (``switch = "reload"``)."""

    name: str
    id: str  # the name as part of nginx's variables
    listen: tuple[str, ...]
    server_names: tuple[Directive, ...]
    max_body: int
    services: tuple[ServiceView, ...]
    routes: tuple[RouteView, ...]
    constant_slot: str | None
    closed: bool
    slot_file: Path
    special: Path  # the directory of the markers of what is not served as ever
    closed_marker: Path
    hold_marker: Path
    watch_marker: Path
    gate_sign: Path  # is there where the gate may be asked
    may_be_held: bool
    slot_markers: tuple[Path, ...]
    markers: str  # what the path of a marker begins with
    preview_keys: Mapping[str, str]  # what the path of a key begins with, by the slot that it is of
    sticky: str | None  # how clients are told apart in steps; None: it has none
    share: Path  # the directory that is there in steps
    share_clients: Mapping[
        str, str
    ]  # what the path of a client's begins with, by the slot it is of
    assets: AssetsView
    preview_socket: Path
    preview_names: tuple[Directive, ...]  # under which the slot that does not serve is seen
    preview_allow: tuple[Directive, ...]  # the networks that need no key there
    closed_socket: Path
    ports: Directive | None

    @property
    def serves_root(self) -> bool:
        return any(route.path == "/" for route in self.routes)

    @property
    def slot_variable(self) -> Directive:
        return slot_variable(self.name)

    @property
    def allow_variable(self) -> Directive:
        """Whether an address needs no key: a slot, or nothing. As short as `slot_variable`."""
        return Directive(f"$bp_{self.id}")


def _nginx_address(address: Address) -> str:
    if address.socket is None:
        return str(address)
    return f"unix:{socket_path(address.socket)}"


def _replaced(replaces: str | None) -> str | None:
    if replaces is None or not replaces.startswith("/"):
        return replaces
    return f"unix:{socket_path(Path(replaces))}"


def _services(settings: AppSettings, layout: Layout) -> dict[str, ServiceView]:
    app = layout.app(settings.name)
    views = {}
    for name, service in settings.services.items():
        addresses = {slot.value: service.addresses(slot, app.run) for slot in Slot}
        views[name] = ServiceView(
            name=name,
            addresses={
                slot: tuple(map(_nginx_address, each)) for slot, each in addresses.items() if each
            },
            keepalive=service.keepalive,
            hop_socket=app.nginx_sockets / f"{name}.nginx.sock",
            replaces=_replaced(service.replaces),
        )
    return {name: view for name, view in views.items() if view.addresses}


def _routes(settings: AppSettings, services: Mapping[str, ServiceView]) -> tuple[RouteView, ...]:
    views = []
    for route in settings.routes:
        if route.service not in services:
            raise ConfigError(
                f"the route {route.path} of {settings.name} goes to the service "
                f"{route.service}, which listens nowhere",
                remedy=f"give [services.{route.service}] ports or sockets, or change the route",
            )
        views.append(
            RouteView(
                path=route.path,
                service=services[route.service],
                websocket=route.websocket,
                timeout_ms=_milliseconds(
                    max(route.timeout, WEBSOCKET_TIMEOUT) if route.websocket else route.timeout
                ),
                has_assets=route.assets is not None,
            )
        )
    return tuple(views)


def _server_names(names: Sequence[str]) -> tuple[Directive, ...]:
    views: list[Directive] = []
    for name in names:
        # Any host and none, whichever server of the port comes first; a default_server would
        # quarrel with the one that the host's own configuration may have.
        views += [Directive('""'), Directive('"~^"')] if name == "_" else [quoted(name)]
    return tuple(views)


def _ports(service: Service) -> Iterator[str]:
    """Those that the service's redirects may name."""
    if service.ports is not None:
        for first in (service.ports.blue, service.ports.green):
            yield from map(str, range(first, first + service.instances))
    if service.replaces is not None and not service.replaces.startswith("/"):
        yield service.replaces.rpartition(":")[2]


def view(
    settings: AppSettings,
    layout: Layout,
    traffic: Traffic,
    slot_file: Path,
    *,
    may_be_held: bool,
) -> AppView:
    """``settings`` for the templates. Raises ConfigError for what nginx could not be told."""
    nginx = settings.nginx
    services = _services(settings, layout)
    routes = _routes(settings, services)
    if nginx.mode != "upstream":
        routed = {route.service.name for route in routes}
        services = {name: service for name, service in services.items() if name in routed}
    elif nginx.switch is SwitchMode.MARKER:
        for service in services.values():
            socket_path(service.hop_socket)
    ports = sorted({port for name in services for port in _ports(settings.services[name])})
    directories, markers = layout.app(settings.name), layout.nginx_markers(settings.name)
    previews = layout.nginx_previews(settings.name)
    constant_slot = (
        (traffic.active or Slot.BLUE).value if nginx.switch is SwitchMode.RELOAD else None
    )
    return AppView(
        name=settings.name,
        id=template_id(settings.name),
        listen=nginx.listen,
        server_names=_server_names(nginx.server_name),
        max_body=nginx.max_body,
        services=tuple(services.values()),
        routes=routes,
        constant_slot=constant_slot,
        closed=traffic.closed,
        slot_file=slot_file,
        special=markers / SPECIAL,
        closed_marker=markers / SPECIAL / CLOSED,
        hold_marker=markers / SPECIAL / HOLD,
        watch_marker=markers / SPECIAL / WATCH,
        gate_sign=layout.gate_sign,
        may_be_held=may_be_held,
        slot_markers=tuple(markers / slot.value for slot in Slot),
        markers=f"{markers}/",
        preview_keys={slot.value: f"{previews}/{slot.value}-" for slot in Slot},
        sticky=settings.promote.sticky if settings.promote.steps else None,
        share=markers / SPECIAL / SHARE,
        share_clients={slot.value: f"{markers / SPECIAL / SHARE}/{slot.value}-" for slot in Slot},
        assets=AssetsView(
            named=layout.nginx_assets(settings.name),
            in_full=directories.assets,
            slot=Directive(constant_slot or slot_variable(settings.name)),
        ),
        preview_socket=socket_path(preview_socket(directories)),
        preview_names=_server_names(settings.preview.server_name),
        preview_allow=tuple(Directive(network) for network in settings.preview.allow),
        closed_socket=socket_path(directories.nginx_sockets / "closed.nginx.sock"),
        ports=Directive("|".join(ports)) if ports else None,
    )
