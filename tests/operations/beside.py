"""Releases of triggers, put into the store of a running daemon from beside it."""

from __future__ import annotations

from bluegreen.model import Requester
from bluegreen.store import Store
from tests.operations.asking import ask
from tests.operations.killing import APP
from tests.stack import Stack


async def add(stack: Stack, version: str) -> int:
    """Have a release wait, as a trigger does; the daemon knows of it once it looks."""
    store = await Store.open(stack.layout.database)
    try:
        hook = Requester(name="webhook", via="test")
        added = await store.waiting.add(
            app="monitor", version=version, requested_by=hook, idempotency_key=None
        )
    finally:
        await store.close()
    return added.id


async def post(stack: Stack, what: str, **body: object) -> None:
    status, answer = await ask(stack, "POST", f"{APP}/{what}", body)
    assert status == 200, answer
