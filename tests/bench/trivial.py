"""The smallest app there is: an nginx for each slot that answers every request by itself.

The same backends stand behind bluegreen and behind its peers, so that only the ways differ.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.bench.servers import nginx_command, nginx_main, nginx_program, running

SLOTS = ("blue", "green")


def backend(port: int, slot: str, version: str) -> str:
    """An nginx.conf that answers all requests with its slot and version, as a load expects."""
    return nginx_main(
        f"""
    keepalive_requests 1000000;
    keepalive_timeout 1h;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        default_type application/json;
        location / {{ return 200 '{{"slot": "{slot}", "version": "{version}"}}'; }}
    }}""",
        workers="1",
    )


def write_release(directory: Path, version: str, ports: Sequence[int]) -> None:
    """A release as a directory source lays it out: a configuration for each slot."""
    directory.mkdir(parents=True)
    for slot, port in zip(SLOTS, ports, strict=True):
        (directory / f"{slot}.conf").write_text(backend(port, slot, version))


def app_file(
    name: str, releases: Path, ports: Sequence[int], listen: int, *, switch: str = "marker"
) -> str:
    """An app file for releases in ``releases/VERSION``; nginx listens on port ``listen``."""
    blue, green = ports
    return f"""
[app]
name = "{name}"
[source]
directory = "{releases}/{{version}}"
[services.api]
command = "{nginx_program()} -p {{slot_dir}}/ -e error.log -c {{slot_dir}}/{{slot}}.conf"
ports = {{ blue = {blue}, green = {green} }}
[[routes]]
path = "/"
service = "api"
[nginx]
listen = ["127.0.0.1:{listen}"]
switch = "{switch}"
[gate]
deadline = "30s"
healthy_for = "0s"
[[gate.probes]]
service = "api"
http = {{ path = "/", json = {{ slot = "{{slot}}", version = "{{version}}" }} }}
[watch]
for = "0s"
"""


@contextlib.asynccontextmanager
async def backends(directory: Path, ports: Sequence[int]) -> AsyncIterator[None]:
    """Both slots' servers without bluegreen, in a directory each."""
    async with contextlib.AsyncExitStack() as stack:
        for slot, version, port in zip(SLOTS, ("v1", "v2"), ports, strict=True):
            place = directory / slot
            place.mkdir(parents=True)
            (place / "nginx.conf").write_text(backend(port, slot, version))
            await stack.enter_async_context(
                running(nginx_command(place), port, place / "output.log")
            )
        yield
