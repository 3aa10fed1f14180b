"""Releases of the shop that stand where a person may let them go on."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from tests.operations.asking import history_of, is_idle, status_of
from tests.operations.proxied import HOST
from tests.stack import Stack
from tests.traffic.client import ask
from tests.waiting import eventually

APP = "/v1/apps/shop"


async def post(stack: Stack, what: str, **body: Any) -> Any:
    """The document of the answer; AssertionError where it is none of success."""
    status, document = await stack.ask("POST", f"{APP}/{what}", body)
    assert status < 300, document
    return document


async def standing(stack: Stack, phase: str, **fields: Any) -> Any:
    """Wait until the running operation may be promoted there; what is shown of that."""

    async def stands() -> Any:
        operation = (await status_of(stack, "shop"))["operation"]
        if operation is None:
            newest = (await history_of(stack, "shop"))[0]
            raise AssertionError(f"it has ended: {newest['state']} {newest['error']}")
        found = operation["promotion"]
        if found is None or found["phase"] != phase:
            return None
        return found if fields.items() <= found.items() else None

    return await eventually(stands, f"it stands in its phase {phase}")


async def ended(stack: Stack) -> Any:
    """Wait until nothing runs; the newest operation of a release."""
    await eventually(lambda: is_idle(stack, "shop"), "it has ended")
    return next(one for one in await history_of(stack, "shop") if one["kind"] != "switch")


async def seen_by(stack: Stack, **headers: str) -> str:
    """What a visitor is answered."""
    return (await ask(stack.listen["shop"], headers={"Host": HOST, **headers})).body


def end_service(stack: Stack, slot: str) -> None:
    """SIGKILL all of what serves the shop in ``slot``."""
    record = stack.layout.process_records / f"unit-shop.{slot}.api.json"
    os.killpg(json.loads(record.read_text())["session"]["leader"]["pid"], signal.SIGKILL)
