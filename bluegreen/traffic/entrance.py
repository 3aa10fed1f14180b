"""Where nginx is asked for an app: by its gate, and by who follows the link of a preview."""

from __future__ import annotations

from bluegreen.config.preview_section import PreviewSection
from bluegreen.config.settings import AppSettings, Nginx
from bluegreen.errors import RefusedError
from bluegreen.layout import Layout
from bluegreen.model import Address
from bluegreen.traffic.app_view import preview_socket
from bluegreen.traffic.sockets import endpoint

HTTP_PORT = 80


def why_no_preview(settings: AppSettings) -> RefusedError | None:
    """Why nginx cannot let anybody see the idle slot, as the app file is."""
    if settings.nginx.mode != "upstream":
        return None
    return RefusedError(
        f'the idle slot of {settings.name} cannot be seen through nginx: with mode = "upstream" '
        "nginx's part that could show it is the administrator's own",
        remedy='set mode = "site" or mode = "snippet" in [nginx] of the app file, or ask the '
        "services of the slot at their own addresses",
    )


def entrance_address(settings: AppSettings, layout: Layout) -> Address:
    """Where the daemon reaches the app's routes; not for mode ``upstream``.

    The server around a snippet is the administrator's, and its address is not known: there it is a
    socket on which nginx has the same routes.
    """
    if settings.nginx.mode == "snippet":
        return Address(socket=preview_socket(layout.app(settings.name)))
    return _reached(settings.nginx.listen[0])


def host_header(names: Nginx | PreviewSection) -> str | None:
    """What visitors have as ``Host``; None where there is no name, or any one will do."""
    return next((name.replace("*", "www", 1) for name in names.server_name if name != "_"), None)


def site_url(settings: AppSettings) -> str | None:
    """Where the site is, as far as the app file says it: without what is in front of it, or TLS.

    None for a server of the administrator's own.
    """
    if settings.nginx.mode != "site":
        return None
    return _url(settings.nginx, host_header(settings.nginx))


def preview_url(settings: AppSettings) -> str | None:
    """Where the slot that does not serve is seen under a name of its own, as `site_url` says it.

    None where it has no such name; in a server of the administrator's own, the name alone.
    """
    host = host_header(settings.preview)
    if host is None or settings.nginx.mode != "site":
        return host
    return _url(settings.nginx, host)


def _url(nginx: Nginx, name: str | None) -> str:
    address = _reached(nginx.listen[0])
    host = name or address.host
    return f"http://{host}" if address.port == HTTP_PORT else f"http://{host}:{address.port}"


def _reached(listen: str) -> Address:
    _, host, port = endpoint(listen)
    if host == "0.0.0.0":  # noqa: S104  # nginx's meaning of a port
        return Address(port=port)
    if ":" in host:
        return Address(port=port, host="[::1]" if host == "::" else f"[{host}]")
    return Address(port=port, host=host)
