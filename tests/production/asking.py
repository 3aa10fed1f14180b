"""The host's daemon asked directly: a command of its own would cost a Python start each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from tests.production.production import APP, Production
from tests.waiting import PATIENCE

APP_PATH = f"/v1/apps/{APP}"


def run_file(production: Production, name: str) -> Path:
    """Where a file of the host's ``/run`` is for the test: it is on no disk."""
    return Path(f"/proc/{production.host.leader}/root/run") / name


async def ask(
    production: Production, method: str, path: str, body: dict[str, Any] | None = None
) -> tuple[int, Any]:
    """Status and JSON document of one request. aiohttp.ClientError while no daemon answers."""
    connector = aiohttp.UnixConnector(path=str(run_file(production, "bluegreen/control.sock")))
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.request(method, f"http://bluegreen{path}", json=body) as response,
    ):
        return response.status, await response.json()


async def status_of(production: Production) -> Any:
    return (await ask(production, "GET", f"/v1/apps/{production.app_name}"))[1]


async def latest_operation(production: Production) -> Any:
    """The newest one, with its phases."""
    path = f"/v1/apps/{production.app_name}/operations?limit=1"
    document = (await ask(production, "GET", path))[1]
    return (await ask(production, "GET", f"/v1/operations/{document['operations'][0]['id']}"))[1]


async def begin_deploy(production: Production, version: str) -> int:
    """Ask for it; returns the number of the operation, which has begun."""
    path, body = f"/v1/apps/{production.app_name}/deployments", {"version": version}
    status, document = await ask(production, "POST", path, body)
    assert status == 202, document
    number: int = document["id"]
    return number


async def is_in(production: Production, phase: str) -> bool:
    """Whether the running operation is in ``phase``. AssertionError when it has ended."""
    operation = (await status_of(production))["operation"]
    assert operation is not None, f"it never came to {phase}: {await latest_operation(production)}"
    return bool(operation["phase"] == phase)
