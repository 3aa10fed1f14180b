"""What visitors met during an operation: the points of its chart, as nginx's log gives them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from bluegreen.api.context import Api
from bluegreen.dashboard.live import LOOK_AGAIN, Stream
from bluegreen.model import Event, PhaseState

AT_ONCE = 500  # events that are read at a time


async def send_points(api: Api, stream: Stream, number: int) -> None:
    """All points that there are, in the place of those that the page has, and more as they come."""
    store, last = api.desk.parts.store, 0
    await stream.send("points", {"begin": True, "points": []})
    while True:
        news = api.bus.listen()
        ended = (await store.operation(number)).state.is_final
        found = await store.events(operation=number, after=last, limit=AT_ONCE)
        if points := [point for event in found if (point := point_of(event)) is not None]:
            await stream.send("points", {"begin": False, "points": points})
        if found:
            last = found[-1].id
            continue
        if ended:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), LOOK_AGAIN)


def point_of(event: Event) -> dict[str, Any] | None:
    """A second of requests by slot, or the moment of a switch or of a share of the clients.

    None: it says nothing of these.
    """
    if event.kind == "watch":
        seconds = max(float(event.data["seconds"]), 0.001)
        return {
            "at": event.at,
            "slots": {
                slot: {"rate": one["requests"] / seconds, "failed": one["failed"] / seconds}
                for slot, one in event.data["slots"].items()
            },
            "judged": event.data["judged"],
        }
    switched = event.data.get("phase") == "switch" and event.data.get("state") == PhaseState.DONE
    if event.kind == "phase" and switched:
        return {"at": event.at, "switch": event.data["data"].get("to")}
    if event.kind == "share":
        return {"at": event.at, "share": event.data["percent"], "slot": event.data["slot"]}
    return None
