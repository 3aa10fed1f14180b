"""Roots with a real daemon, and blocking requests to it, for the benchmarks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bluegreen.cli.client import Client
from tests.bench.trivial import app_file, write_release
from tests.ports import kernel_ports
from tests.stack import Stack, stack

DEPLOY_SECONDS = 120.0
POLL = 0.2  # seconds; each look costs the daemon some time of its own
TRIVIAL = "app-000"
# As it is started in earnest: memory that is shared with what it was forked from is slow at first.
EXECUTED = ("env",)


def deploy(client: Client, app: str, version: str) -> dict[str, Any]:
    """Deploy and wait for the outcome; the operation with its phases. Blocking."""
    began = time.monotonic()
    asked = client.post(f"/v1/apps/{app}/deployments", {"version": version})
    while time.monotonic() - began < DEPLOY_SECONDS:
        operation: dict[str, Any] = client.get(f"/v1/operations/{asked['id']}")
        if operation["finished_at"] is not None:
            assert operation["state"] == "succeeded", operation
            return operation
        time.sleep(POLL)
    raise AssertionError(f"not deployed within {DEPLOY_SECONDS:g} s: {app} {version}")


def switch_back(client: Client, app: str) -> None:
    """Blocking; answers once traffic has moved and that is on disk."""
    client.post(f"/v1/apps/{app}/switch", {"to": "back"})


def write_trivial_apps(built: Stack, count: int, *, switch: str = "marker") -> None:
    """App files ``app-000`` and on; the first has the releases v1 and v2."""
    numbers = iter(kernel_ports(3 * count))
    for index in range(count):
        name = f"app-{index:03}"
        listen, *ports = (next(numbers) for _ in range(3))
        releases = built.root / "releases" / name
        built.listen[name], built.ports[name] = listen, ports
        if index == 0:
            for version in ("v1", "v2"):
                write_release(releases / version, version, ports)
        path = built.layout.app_files / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(app_file(name, releases, ports, listen, switch=switch))


@contextlib.asynccontextmanager
async def trivial_host(count: int = 1, *, switch: str = "marker") -> AsyncIterator[Stack]:
    """A daemon with ``count`` trivial apps; both slots of the first are hot."""
    async with stack() as built:
        write_trivial_apps(built, count, switch=switch)
        await built.serve(prefix=EXECUTED)
        await built.deploy("v1", TRIVIAL)
        await built.deploy("v2", TRIVIAL)
        yield built


def etc_nginx(built: Stack) -> Path:
    """Where an administrator puts servers of their own."""
    return built.layout.config / "nginx"
