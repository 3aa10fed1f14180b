"""What /metrics says of a daemon that has done something, to whom, and in which formats."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)

from tests.api.door import Door, open_door
from tests.api.metrics.page import Page, collect, parsed
from tests.docs.pages import read
from tests.waiting import PATIENCE, eventually
from tests.webhooks.deliveries import SECRET, signed

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
_HOOK = """
[[webhook]]
provider = "github"
secret = {{ file = "{secret}" }}
on = "push"
version = "tag"
"""


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door() as opened:
        yield opened


async def promtool(text: str) -> str:
    """What promtool finds wrong with a page."""
    process = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(text.encode()), PATIENCE)
    return said.decode()


def ended(page: Page, app: str, kind: str, outcome: str) -> float | None:
    return page.value("bluegreen_operations_total", app=app, kind=kind, outcome=outcome)


async def delivered(door: Door, event: str, name: str, secret: str = SECRET) -> int:
    body = b'{"zen": "Keep it logically awesome.", "hook_id": 1}'
    headers = signed("github", event, body, name=name, secret=secret)
    headers["Content-Type"] = "application/json"
    async with door.unix.post("/hooks/monitor", data=body, headers=headers) as response:
        return response.status


async def told_to_who_may_look(door: Door) -> None:
    async def asked(token: str | None, **headers: str) -> tuple[int, str, str]:
        headers |= {} if token is None else {"Authorization": f"Bearer {token}"}
        async with door.tcp.get("/metrics", headers=headers) as response:
            return response.status, response.content_type, await response.text()

    assert (await asked(None))[0] == 401
    status, _, text = await asked(await door.token("read", "shop"))
    theirs = parsed(text)
    assert status == 200
    assert ended(theirs, "shop", "deploy", "succeeded") == 0
    assert "monitor" not in text
    assert not {"bluegreen_apps", "bluegreen_store_bytes", "bluegreen_phase_seconds"} & theirs.names

    status, media, text = await asked(await door.token("read"), Accept=OPENMETRICS)
    assert (status, media) == (200, "application/openmetrics-text")
    names = {family.name for family in openmetrics_families(text)}  # type: ignore[no-untyped-call]
    assert names == (await collect(door.unix)).names
    for private in (str(door.stack.root), await door.token("read"), "Bearer"):
        assert private not in text


async def test_the_figures_are_those_of_what_was_done_and_are_told_to_who_may_look(
    door: Door,
) -> None:
    await told_to_who_may_look(door)
    built = door.stack
    secret = built.root / "hook"
    secret.write_text(SECRET)
    built.write_app(services=("api",), extra=_HOOK.format(secret=secret))
    assert (await door.reload())[0] == 200
    assert (await built.cli("deploy", "monitor", "v3-build-fails")).status == 1
    assert (await built.ask("POST", "/v1/apps/monitor/switch", {"to": "back"}))[0] == 200
    assert await delivered(door, "ping", "d-1") == 200
    assert await delivered(door, "ping", "d-1") == 200
    assert await delivered(door, "ping", "d-2", "a guess") == 401
    page = await collect(door.unix)

    assert ended(page, "monitor", "deploy", "succeeded") == 2
    assert ended(page, "monitor", "deploy", "failed") == 1
    assert ended(page, "monitor", "deploy", "rolled_back") == 0
    assert ended(page, "monitor", "switch", "succeeded") == 1
    assert ended(page, "shop", "deploy", "failed") == 0, "so that the first one is an increase"
    assert page.value("bluegreen_operation_seconds_count", app="monitor", kind="deploy") == 3
    took = {state: page.value(
        "bluegreen_phase_seconds_count", phase="build", outcome=state
    ) for state in ("done", "failed")}  # fmt: skip
    assert took == {"done": 2, "failed": 1}
    assert page.value("bluegreen_switch_seconds_count") == 3
    assert page.value("bluegreen_switch_seconds_bucket", le="5.0") == 3

    for slot, active, version in (("blue", 1, "v1"), ("green", 0, "v2")):
        named = {"app": "monitor", "slot": slot}
        assert page.value("bluegreen_slot_active", **named) == active
        assert page.value("bluegreen_slot_clients_ratio", **named) == active
        assert page.value("bluegreen_slot_state", **named, state="hot") == 1
        assert page.value("bluegreen_slot_ready", **named) == 1
        assert page.value("bluegreen_service_running", **named, service="api") == 1
        assert f'slot="{slot}",version="{version}"' in page.text
    assert page.value("bluegreen_slot_active", app="shop", slot="blue") == 0
    assert page.value("bluegreen_slot_state", app="shop", slot="blue", state="empty") == 1
    assert page.value("bluegreen_apps") == 2
    assert (page.value("bluegreen_nginx_answers"), page.value("bluegreen_store_answers")) == (1, 1)
    for result in ("ignored", "repeated", "refused"):
        named = {"app": "monitor", "result": result}
        assert page.value("bluegreen_webhook_deliveries_total", **named) == 1, result

    assert (await built.ask("POST", "/v1/apps/monitor/hold", {"timeout": 30}))[0] == 200
    held = asyncio.create_task(_visit(built.url()), name="a visitor")
    waiting = await eventually(lambda: _waiting(door), "the visitor waits")
    assert waiting.value("bluegreen_app_held", app="monitor") == 1
    assert waiting.value("bluegreen_hold_started_timestamp_seconds", app="monitor")
    assert (await built.ask("POST", "/v1/apps/monitor/release"))[0] == 200
    assert await asyncio.wait_for(held, PATIENCE) == 200
    page = await collect(door.unix)
    assert page.value("bluegreen_hold_seconds_count", app="monitor") == 1
    assert page.value("bluegreen_hold_started_timestamp_seconds", app="monitor") is None

    page = await watched_requests_are_counted(door)
    # What the history says is the same for the next daemon.
    await built.kill()
    await built.serve()
    again = await collect(door.unix)
    for name in ("bluegreen_operations", "bluegreen_operation_seconds", "bluegreen_phase_seconds"):
        before = {key: n for key, n in page.values.items() if key[0].startswith(name)}
        assert {key: n for key, n in again.values.items() if key[0].startswith(name)} == before
    assert await promtool(again.text) == ""
    described = re.findall(r"^\| `(bluegreen_[a-z_]+)` \|", read("metrics.md"), re.MULTILINE)
    ours = {name for name in again.names if name.startswith("bluegreen_")}
    assert sorted(name.removesuffix("_total") for name in described) == sorted(ours)


async def watched_requests_are_counted(door: Door) -> Page:
    """Of a release that goes on while somebody visits."""
    built = door.stack
    restart = asyncio.create_task(built.cli("restart", "monitor"), name="restart")
    while not restart.done():
        assert await _visit(built.url()) == 200
    assert restart.result().status == 0, restart.result().err
    page = await collect(door.unix)
    slot = {"app": "monitor", "slot": built.marker()}
    requests = page.value("bluegreen_watch_requests_total", **slot, **{"class": "2xx"})
    assert requests
    assert page.value("bluegreen_watch_answer_seconds_count", **slot) == requests
    assert page.value("bluegreen_watch_answer_seconds_bucket", **slot, le="10.0") == requests
    assert page.value("bluegreen_watch_errors_total", **slot) == 0
    assert page.value("bluegreen_watch_strange_total") == 0
    return page


async def _waiting(door: Door) -> Page | None:
    page = await collect(door.unix)
    return page if page.value("bluegreen_held_requests", app="monitor") == 1 else None


async def _visit(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/health") as response:
        return response.status
