"""Who is connected to an address, as the kernel tells."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluegreen.health import sock_diag
from bluegreen.health.sockets import clients_of
from bluegreen.model import Address
from tests.waiting import eventually


@contextlib.contextmanager
def connected(
    server: socket.socket, address: str | tuple[str, int]
) -> Iterator[tuple[socket.socket, int]]:
    """A client's socket and its inode; the server has accepted it."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as client:
        client.connect(address)
        accepted, _ = server.accept()
        with accepted:
            yield client, os.fstat(client.fileno()).st_ino


def inodes(address: Address) -> list[int | None]:
    return [None if client is None else client.inode for client in clients_of([address])]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
async def test_a_client_of_a_port_is_known_by_its_own_socket_while_it_is_connected(
    host: str,
) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server(
        (host, 0), family=family, dualstack_ipv6=family is socket.AF_INET6
    ) as server:
        port = server.getsockname()[1]
        assert inodes(Address(port=port)) == []
        with connected(server, ("127.0.0.1", port)) as (client, inode):
            assert inodes(Address(port=port)) == [inode]
            # Nobody has accepted this one yet; it waits there all the same.
            with socket.create_connection(("127.0.0.1", port)) as waiting:
                own = os.fstat(waiting.fileno()).st_ino
                both = sorted([inode, own], key=str)
                # The other end may not have come as far yet on a busy host.
                await eventually(
                    lambda: sorted(inodes(Address(port=port)), key=str) == both, "both are known"
                )
            client.shutdown(socket.SHUT_RDWR)
        # On a busy host the kernel takes a moment to tell the other end.
        await eventually(lambda: inodes(Address(port=port)) == [], "nobody is known any more")


def test_of_all_connections_the_kernel_gives_those_of_the_ports_that_are_asked_about() -> None:
    """A host has tens of thousands, and a status that is watched asks every second."""
    with contextlib.ExitStack() as opened:
        ports = []
        for host in ("127.0.0.1", "::1", "127.0.0.1"):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            server = opened.enter_context(socket.create_server((host, 0), family=family))
            ports.append(server.getsockname()[1])
            client = opened.enter_context(socket.create_connection((host, ports[-1])))
            opened.enter_context(server.accept()[0])
            assert client.getsockname()[1] != ports[-1]
        for port in ports:
            ends = sock_diag.connections([port])
            assert [end.port == port for end in ends].count(True) == 1
            assert {end.name for end in ends} == {end.peer for end in ends}
            assert len(ends) == 2
        among = {end.port for end in sock_diag.connections(ports)}
        assert among.issuperset(ports)


async def test_a_client_of_a_unix_socket_too_also_where_its_server_has_a_relative_path(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    for path in (str(root / "absolute.sock"), "relative.sock"):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            address = Address(socket=root / path)
            assert inodes(address) == []
            with connected(server, path) as (client, inode):
                assert inodes(address) == [inode]
                assert inodes(Address(socket=root / "another.sock")) == []
                client.close()
                # Its server works on, and has nobody to answer.
                await eventually(
                    lambda address=address: inodes(address) == [], "nobody is known any more"
                )
            assert inodes(address) == []
