"""A real nginx of an administrator's, with what is provided for it, in front of the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from bluegreen.config.api_section import ApiSection
from bluegreen.traffic.build import installed_build
from bluegreen.traffic.rendering import Templates
from tests.api.door import Door
from tests.ports import kernel_ports
from tests.waiting import eventually


async def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    made, key = directory / f"{name}.pem", directory / f"{name}.key"
    process = await asyncio.create_subprocess_exec(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", str(key), "-out", str(made), stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == 0
    return made, key


@contextlib.asynccontextmanager
async def nginx_in_front(door: Door, directory: Path) -> AsyncIterator[str]:
    """Its URL. It ends TLS, by a certificate of its own; ``directory`` is a test's."""
    made, key = await certificate(directory, "front")
    templates = Templates(door.stack.layout, await installed_build())
    files = templates.api(ApiSection(listen=f"127.0.0.1:{door.port}"))
    for path, text in files.items():
        path.write_text(text)
    http, server = sorted(files)
    [port] = kernel_ports(1)
    account = "user root;" if os.geteuid() == 0 else ""
    directories = "".join(
        f"{name}_temp_path {directory}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"{account} pid {directory}/pid; error_log {directory}/error.log; events {{}}\n"
        f"http {{ access_log off; {directories} include {http};\n"
        f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {made};\n"
        f"ssl_certificate_key {key};\n location / {{ return 404; }}\n include {server}; }} }}\n"
    )
    process = await asyncio.create_subprocess_exec(
        (await installed_build()).binary, "-p", str(directory), "-c", str(directory / "nginx.conf"),
        "-g", "daemon off;", "-e", str(directory / "error.log"),
    )  # fmt: skip

    def listens() -> bool:
        assert process.returncode is None, (directory / "error.log").read_text()
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    try:
        await eventually(listens, "nginx listens")
        yield f"https://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
