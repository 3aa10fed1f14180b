"""The daemon's API asked directly: a command of its own would cost a Python start each time."""

from __future__ import annotations

from typing import Any

from tests.stack import Stack


async def ask(
    stack: Stack,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    """`Stack.ask`."""
    return await stack.ask(method, path, body, headers=headers)


async def status_of(stack: Stack, app: str = "monitor") -> Any:
    return (await ask(stack, "GET", f"/v1/apps/{app}"))[1]


async def history_of(stack: Stack, app: str = "monitor") -> list[Any]:
    """Newest first."""
    document = (await ask(stack, "GET", f"/v1/apps/{app}/operations?limit=100"))[1]
    operations: list[Any] = document["operations"]
    return operations


async def is_idle(stack: Stack, app: str = "monitor") -> bool:
    """Whether no operation runs."""
    return (await status_of(stack, app))["operation"] is None
