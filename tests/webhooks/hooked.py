"""A daemon whose app has webhooks of every provider, and deliveries to it over its socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.stack import Stack, stack
from tests.waiting import PATIENCE
from tests.webhooks.deliveries import SECRET, STANDARD_SECRET, signed

OLD_SECRET = "an-older-one-that-still-counts"
GITLAB_SIGNING = "whsec_Z2l0bGFiLXNpZ25zLXdpdGgtdGhpcy1vbmU="
_RULES = """
[[webhook]]
provider = "github"
secret = [{{ file = "{root}/hook" }}, {{ file = "{root}/hook-old" }}]
on = ["push", "release"]
version = "tag"

[[webhook]]
provider = "github"
secret = {{ file = "{root}/hook" }}
on = "workflow_run"
branches = "main"
version = "commit"

[[webhook]]
provider = "gitlab"
secret = [{{ file = "{root}/hook-token" }}, {{ file = "{root}/hook-gitlab" }}]
on = ["push", "release"]
version = "tag"

[[webhook]]
provider = "gitea"
secret = {{ file = "{root}/hook-gitea" }}
on = "release"
version = "tag"

[[webhook]]
provider = "standard"
secret = {{ file = "{root}/hook-standard" }}
on = "release.published"
version = "data.version"
{rest}
"""
SECRETS = {
    "hook": SECRET,
    "hook-old": OLD_SECRET,
    "hook-token": SECRET,
    "hook-gitea": SECRET,
    "hook-gitlab": GITLAB_SIGNING,
    "hook-standard": STANDARD_SECRET,
}


@dataclass
class Hooked:
    """The daemon, and a session with it."""

    stack: Stack
    session: aiohttp.ClientSession

    async def post(
        self, body: bytes, headers: Mapping[str, str], app: str = "monitor"
    ) -> tuple[int, Any]:
        """Status and document of a delivery."""
        async with self.session.post(f"/hooks/{app}", data=body, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def deliver(self, provider: str, event: str, body: bytes, name: str) -> tuple[int, Any]:
        """One that is signed as its provider does."""
        return await self.post(body, signed(provider, event, body, name=name))

    async def get(self, path: str) -> Any:
        async with self.session.get(f"/v1/apps/monitor{path}") as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def deliveries(self) -> list[Any]:
        """Newest first."""
        found: list[Any] = (await self.get("/deliveries?limit=200"))["deliveries"]
        return found

    async def operations(self) -> list[Any]:
        """Newest first."""
        found: list[Any] = (await self.get("/operations?limit=200"))["operations"]
        return found

    async def is_idle(self) -> bool:
        """Whether every operation has ended."""
        return all(one["finished_at"] for one in await self.operations())


@contextlib.asynccontextmanager
async def connected(served: Stack) -> AsyncIterator[Hooked]:
    connector = aiohttp.UnixConnector(str(served.layout.control_socket))
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(
        "http://bluegreen", connector=connector, timeout=timeout
    ) as session:
        yield Hooked(served, session)


@contextlib.asynccontextmanager
async def hooked(rest: str = "", **options: Any) -> AsyncIterator[Hooked]:
    """A daemon of the sample app's API, never deployed; ``rest`` is more of its app file."""
    async with stack() as built:
        for name, secret in SECRETS.items():
            await asyncio.to_thread((built.root / name).write_text, f"{secret}\n")
        rules = _RULES.format(root=built.root, rest=rest)
        built.write_app(services=("api",), extra=rules, watch="0.3s", **options)
        await built.serve()
        async with connected(built) as served:
            yield served
