"""Signed webhooks to real receivers: what they get, and whatever receivers do with it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bluegreen.model import OperationKind, OperationState
from bluegreen.notifications import courier
from bluegreen.notifications.courier import Surroundings
from bluegreen.notifications.schedule import Patience
from bluegreen.notifications.service import Notifications
from tests.notifications.listening import SECRET, Host, Listener
from tests.ports import kernel_ports
from tests.waiting import eventually

NEW_SECRET = "whsec_" + base64.b64encode(b"another secret of that length").decode()
LONG = Patience(first=3600.0)


async def told(listener: Listener, count: int = 1) -> None:
    await eventually(lambda: len(listener.asked) >= count, f"{count} messages came")


async def test_what_a_receiver_gets_is_signed_and_says_what_happened(
    host: Host, listener: Listener
) -> None:
    await host.happen()  # before it is known: not told
    rotating = [host.secret(NEW_SECRET, "new"), host.secret()]
    await host.tell(host.webhook(f"{listener.url}/hook?key=1", secret=rotating))
    operation = await host.happen(version="v3")
    await told(listener)
    [asked] = listener.asked
    for secret in (SECRET, NEW_SECRET):
        assert Webhook(secret).verify(asked.body, asked.headers) == asked.document
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(asked.body + b" ", asked.headers)
    assert (asked.method, asked.path) == ("POST", "/hook?key=1")
    document = asked.document
    assert document["type"] == "operation.failed"
    assert document["data"]["app"] == "shop"
    view = document["data"]["operation"]
    assert (view["id"], view["version"], view["state"]) == (operation.id, "v3", "failed")
    assert view["error"]["message"] == "it broke"


async def test_states_apps_and_kinds_are_chosen(host: Host, listener: Listener) -> None:
    await host.tell(
        host.webhook(
            listener.url, on=["started", "failed", "warning"], apps=["shop"], kinds=["deploy"]
        )
    )
    await host.happen(app="wiki")
    await host.happen(kind=OperationKind.RESTART)
    await host.happen(OperationState.SUCCEEDED)
    await host.happen()
    await host.store.add_event(app="shop", operation=None, kind="warning", data={"message": "oh"})
    await told(listener, 4)
    assert listener.types == [
        "operation.started", "operation.started", "operation.failed", "warning",
    ]  # fmt: skip
    assert listener.asked[1].document["data"]["operation"]["error"] is None  # as it stood then
    assert listener.asked[-1].document["data"]["message"] == "oh"


async def test_what_is_not_taken_is_sent_again_under_its_name_and_in_order(
    host: Host, listener: Listener
) -> None:
    async def cut_off(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    listener.answers = [500, 429, cut_off, 404, 200, 200]
    await host.tell(host.webhook(listener.url))
    for version in ("v2", "v3"):
        await host.happen(version=version)
    await told(listener, 6)
    names = [asked.headers["webhook-id"] for asked in listener.asked]
    assert len(set(names[:5])) == 1
    assert names[5] != names[0]
    versions = [asked.document["data"]["operation"]["version"] for asked in listener.asked]
    assert versions == ["v2"] * 5 + ["v3"]


async def test_after_a_restart_it_goes_on_where_it_was(tmp_path: Path, listener: Listener) -> None:
    """One that was sent and not recorded as sent comes again, under the same name."""
    arrived = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        arrived.set()
        await asyncio.sleep(3600)
        return web.Response()

    first = await Host.open(tmp_path)
    listener.answers = [200, hang]
    receiver = first.webhook(listener.url)
    await first.tell(receiver)
    await first.happen(version="v2")
    await first.happen(version="v3")
    await arrived.wait()
    await first.happen(version="v4")
    await first.close()
    second = await Host.open(tmp_path)
    try:
        await second.tell(receiver)
        await told(listener, 4)
    finally:
        await second.close()
    sent = [(a.document["data"]["operation"]["version"], a.headers["webhook-id"])
            for a in listener.asked]  # fmt: skip
    assert [version for version, _ in sent] == ["v2", "v3", "v3", "v4"]
    assert sent[1] == sent[2]


async def test_one_that_refuses_a_message_gets_the_next(host: Host, listener: Listener) -> None:
    listener.answers = [400] * 5
    await host.tell(host.webhook(listener.url))
    await host.happen(version="v2")
    await host.happen(version="v3")
    await told(listener, 6)
    last = listener.asked[-1].document["data"]["operation"]["version"]
    assert last == "v3"
    await eventually(lambda: _is(host, delivered=1, dropped=1), "both are counted")


async def _is(host: Host, **wanted: object) -> bool:
    view = await host.overview()
    return all(view[name] == value for name, value in wanted.items())


async def test_one_that_has_gone_is_left_alone_until_a_test_is_taken(
    host: Host, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    listener.answers = [410]
    await host.tell(host.webhook(listener.url, name="ops"))
    await host.happen()
    await eventually(lambda: "wants to be told nothing more" in caplog.text, "that is said")
    await host.happen(version="v3")
    assert len(listener.asked) == 1
    assert "bluegreen notify test ops" in host.notifications.warnings()[0]
    [answer] = await host.notifications.test("ops")
    assert answer["outcome"] == "accepted"
    assert host.notifications.warnings() == ()
    await host.happen(version="v4")
    await told(listener, 3)
    assert listener.types[1] == "test"
    assert listener.asked[2].document["data"]["operation"]["version"] == "v4"


@pytest.mark.parametrize(
    "kind", ["redirects", "repeats", "private", "nobody", "bad secret", "no file"]
)
async def test_why_a_receiver_cannot_be_told_is_said_without_its_address(
    host: Host, listener: Listener, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    async def repeat(request: web.Request) -> web.Response:
        return web.Response(status=404, text=f"Cannot POST {'.' * 282} {request.path}")

    settings = host.webhook(f"{listener.url}/T0PSECRET")
    said = {
        "redirects": "redirects (302), which is not followed",
        "repeats": "it answers 404: Cannot POST ...",
        "private": "127.0.0.1, which is not a public address",
        "nobody": "cannot be reached",
        "bad secret": "none of a standard webhook",
        "no file": "secret file",
    }[kind]
    if kind == "redirects":
        listener.usual = redirect
    elif kind == "repeats":
        listener.usual = repeat
    elif kind == "private":
        settings |= {"url": "https://127.0.0.1:1/T0PSECRET", "allow_private": False}
    elif kind == "nobody":
        settings["url"] = f"http://127.0.0.1:{kernel_ports(1)[0]}/T0PSECRET"
    elif kind == "bad secret":
        settings["secret"] = host.secret("hunter2-hunter2", "short")
    else:
        settings["secret"] = {"file": str(host.root / "missing")}
    await host.tell(settings)
    await host.happen()
    view = await eventually(lambda: _failing(host), "it fails")
    assert said in view["last_error"]
    assert view["waiting"] == 1
    assert {asked.path for asked in listener.asked} <= {"/T0PSECRET"}
    for text in (str(view), caplog.text):
        assert "T0PS" not in text
        assert "hunter2" not in text
    stored = b"".join(file.read_bytes() for file in host.root.glob("bluegreen.db*"))
    assert b"T0PSECRET" not in stored


async def _failing(host: Host) -> object:
    view = await host.overview()
    return view if view["last_error"] else None


async def test_one_that_hangs_keeps_nobody_waiting(host: Host, listener: Listener) -> None:
    gone_on = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await gone_on.wait()
        return web.Response()

    listener.answers = [hang]
    await host.tell(host.webhook(f"{listener.url}/a"), host.webhook(f"{listener.url}/b"))
    await host.happen()
    await told(listener, 2)
    await host.happen(version="v3")
    await told(listener, 3)
    paths = {asked.path for asked in listener.asked[1:]}
    assert len(paths) == 1  # the other one was told twice while the first hung
    gone_on.set()
    await told(listener, 4)


async def test_one_that_moves_is_told_the_rest_there_and_a_new_one_from_now_on(
    tmp_path: Path, listener: Listener
) -> None:
    host = await Host.open(tmp_path, LONG)
    try:
        listener.answers = [500]
        await host.tell(host.webhook(f"{listener.url}/old", name="ops"))
        await host.happen()
        await eventually(lambda: _failing(host), "it fails")
        await host.tell(
            host.webhook(f"{listener.url}/new", name="ops"), host.webhook(f"{listener.url}/other")
        )
        await told(listener, 2)
        await host.happen(version="v3")
        await told(listener, 4)
        by_path = [asked.path for asked in listener.asked]
        assert by_path[:2] == ["/old", "/new"]
        assert sorted(by_path[2:]) == ["/new", "/other"]
    finally:
        await host.close()


async def test_what_the_store_does_not_take_is_not_told_again(
    host: Host, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "STORE_AGAIN", 0.01)
    await host.tell(host.webhook(listener.url))
    with contextlib.closing(sqlite3.connect(host.root / "bluegreen.db")) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON receivers BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        await host.happen()
        await host.happen(version="v3")
        await told(listener)
        for _ in range(3):  # each makes the courier look again
            event = await host.store.add_event(app="shop", operation=None, kind="output", data={})
            assert event.id > 0
        other.execute("DROP TRIGGER full")
    await told(listener, 2)
    versions = [asked.document["data"]["operation"]["version"] for asked in listener.asked]
    assert versions == ["v2", "v3"]


async def test_what_cannot_be_read_is_said_and_tried_again(
    host: Host, listener: Listener, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(courier, "STORE_AGAIN", 0.01)
    after, failing = host.store.outbox.after, [True]

    async def later_version(*arguments: Any) -> Any:
        if failing:
            failing.pop()
            raise ValueError("'promoted' is no state of an operation")
        return await after(*arguments)

    monkeypatch.setattr(host.store.outbox, "after", later_version)
    await host.tell(host.webhook(listener.url))
    await host.happen()
    await told(listener)
    assert "is not told anything: ValueError(\"'promoted' is no state" in caplog.text


async def test_what_is_too_old_is_dropped_and_long_failures_are_said(
    host: Host, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    at = [time.time()]
    patience = Patience(first=3600.0)
    around = Surroundings(
        store=host.store, news=host.bus.listen, patience=patience, together=0.01,
        now=lambda: at[0], chance=lambda: 1.0,
    )  # fmt: skip
    host.notifications = Notifications(around)
    listener.answers = [500]
    await host.tell(host.webhook(listener.url, name="ops", apps=["shop", "wiki"]))
    [unknown] = host.notifications.warnings()
    assert 'is told of "wiki", and there is no such app' in unknown
    await host.happen()
    await eventually(lambda: _failing(host), "it fails")
    assert host.notifications.warnings() == (unknown,)
    at[0] += 1200.0
    [_, long] = host.notifications.warnings()
    assert long == (
        "ops could not be told anything for 20 min: it answers 500; see bluegreen notify list"
    )
    at[0] += patience.life
    await host.tell(host.webhook(f"{listener.url}/moved", name="ops"))  # and so looked at again
    await eventually(lambda: _is(host, dropped=1, waiting=0), "it is dropped")
    assert "not taken in time" in caplog.text
    assert len(listener.asked) == 1
