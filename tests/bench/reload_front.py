"""The usual way to switch nginx: render the upstream and reload, tested before or not."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from bluegreen.files import rename_durably
from tests.bench.servers import nginx_command, nginx_main, running
from tests.bench.trivial import SLOTS

LIMIT = 15.0  # seconds until a reload must have taken effect

_HTTP = """
    include {upstream};
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""


def ask(port: int) -> bytes:
    """What a request on a connection of its own is answered; empty when it is reset. Blocking."""
    answer = b""
    with (
        contextlib.suppress(ConnectionError),
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.0\r\nHost: app\r\n\r\n")
        while part := connection.recv(4096):
            answer += part
    return answer


class ReloadFront:
    """An nginx in front of two slots, which serves blue at first."""

    def __init__(self, directory: Path, port: int, ports: Sequence[int]) -> None:
        directory.mkdir()
        self._upstream = directory / "upstream.conf"
        self._port = port
        self._ports = dict(zip(SLOTS, ports, strict=True))
        self._slot = "blue"
        self._render()
        http = _HTTP.format(upstream=self._upstream, port=port)
        (directory / "nginx.conf").write_text(nginx_main(http))
        self.command = nginx_command(directory)

    def _render(self) -> None:
        address = f"127.0.0.1:{self._ports[self._slot]}"
        temporary = self._upstream.with_suffix(".tmp")
        with temporary.open("w") as file:
            file.write(f"upstream app {{ server {address} max_fails=0; keepalive 16; }}\n")
            file.flush()
            os.fsync(file.fileno())
        rename_durably(temporary, self._upstream)

    def switch(self, *, tested: bool = False) -> None:
        """Blocking; returns when a request is answered by the other slot.

        ``tested``: by ``nginx -t`` first, as whoever is careful does.
        """
        self._slot = "green" if self._slot == "blue" else "blue"
        self._render()
        if tested:
            subprocess.run([*self.command, "-t"], check=True, capture_output=True)
        subprocess.run([*self.command, "-s", "reload"], check=True, capture_output=True)
        deadline = time.monotonic() + LIMIT
        while self._slot.encode() not in ask(self._port):
            assert time.monotonic() < deadline, "the reload does not take effect"


@contextlib.asynccontextmanager
async def reload_front(
    directory: Path, port: int, ports: Sequence[int]
) -> AsyncIterator[ReloadFront]:
    """Started in ``directory``, which it creates; the slots' servers are the caller's."""
    front = ReloadFront(directory, port, ports)
    async with running(front.command, port, directory / "output.log"):
        yield front
