"""The unix sockets and TCP ports that nginx listens on for us."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil

from bluegreen.layout import Layout

CONNECT_TIMEOUT = 0.5  # seconds


def remove_stale_sockets(layout: Layout) -> None:
    """Remove the sockets that a killed nginx has left and on which nobody listens.

    nginx does not bind over a file that exists, so one of these would keep it from starting.
    """
    of_apps = (layout.app("*").nginx_sockets / "*.nginx.sock").relative_to(layout.nginx_run)
    ours = [layout.nginx_socket, *layout.nginx_run.glob(str(of_apps))]
    for path in ours:
        if _is_stale(path):
            path.unlink(missing_ok=True)


def _is_stale(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(CONNECT_TIMEOUT)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def endpoint(listen: str) -> tuple[socket.AddressFamily, str, int]:
    """Family, host (an IPv6 address without brackets) and port of one of ``[nginx] listen``."""
    host, _, port = listen.rpartition(":")
    if host.startswith("["):
        return socket.AF_INET6, host.strip("[]"), int(port)
    return socket.AF_INET, host or "0.0.0.0", int(port)  # noqa: S104  # nginx's meaning of a port


def _is_taken(listen: str) -> bool:
    family, host, port = endpoint(listen)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _listening_ports(process: psutil.Process) -> set[int]:
    with contextlib.suppress(psutil.Error):
        return {
            connection.laddr.port
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr
        }
    return set()


def _holder(port: int) -> str:
    """``python3 (pid 123)``, or "another program" where that is not for us to know."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another program"


def taken_by_strangers(listens: Iterable[str], ours: Iterable[psutil.Process]) -> list[str]:
    """Which of ``listens`` (as in ``[nginx] listen``) are held by other processes than ``ours``.

    One line each, for people. nginx itself would try for 2.5 s before it says so.
    """
    own = {port for process in ours for port in _listening_ports(process)}
    return [
        f"{listen} is held by {_holder(port)}"
        for listen in sorted(set(listens))
        if (port := endpoint(listen)[2]) not in own and _is_taken(listen)
    ]
