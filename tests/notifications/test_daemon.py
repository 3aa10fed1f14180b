"""A whole daemon with receivers that hang, fail and are there, and what it says of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from tests.notifications.listening import SECRET, Listener, listening
from tests.stack import Stack, stack
from tests.waiting import eventually

WORD = "T0PSECRETW0RD"
ALL = '["started", "succeeded", "failed"]'


@pytest.fixture
async def shop() -> AsyncIterator[Stack]:
    async with stack() as built:
        yield built


def secret(shop: Stack, name: str, text: str) -> str:
    file = shop.root / "secrets" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return f'{{ file = "{file}" }}'


def configure(shop: Stack, hung: Listener, there: Listener) -> None:
    token = secret(shop, "token", WORD)
    shop.write_app(
        services=("api",),
        watch="0.3s",
        extra=f"""
[[status]]
provider = "gitea"
repository = "o/monitor"
api = "{there.url}/api/v1"
allow_private = true
token = {token}
""",
    )
    host = there.url.removeprefix("http://")
    shop.layout.daemon_file.write_text(f"""
[[notify]]
name = "hung"
url = {secret(shop, "hung", f"{hung.url}/{WORD}")}
secret = {secret(shop, "key", SECRET)}
allow_private = true
on = {ALL}
[[notify]]
name = "chat"
url = {secret(shop, "chat", f"json://bot:{WORD}@{host}/chat/{WORD}")}
[[notify]]
name = "gone"
url = {secret(shop, "gone", f"{there.url}/gone/{WORD}")}
secret = {secret(shop, "key", SECRET)}
allow_private = true
apps = ["nobody"]
""")


async def test_a_deploy_waits_for_no_receiver_and_a_killed_daemon_tells_again(shop: Stack) -> None:
    released = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=410 if request.path.startswith("/gone") else 200)

    async with listening() as hung, listening() as there:
        hung.usual, there.usual = hang, answer
        configure(shop, hung, there)
        await shop.serve()
        await shop.deploy("v1")
        await eventually(lambda: hung.asked, "one is told, and hangs")
        assert set(_names(hung).values()) == {("operation.started", "v1")}
        await eventually(lambda: _paths(there, "/chat"), "chat is told meanwhile")
        await eventually(lambda: len(_paths(there, "/api/v1")) >= 2, "the commit is marked")
        waiting = {"hung": 2, "chat": 0, "gone": 0, "monitor/gitea/o/monitor": 0}
        await eventually(lambda: _waits(shop, waiting), "only one has not been told")
        before = len(hung.asked)
        await shop.kill()
        await shop.serve()
        await eventually(lambda: len(hung.asked) > before, "it is told again")
        await shop.deploy("v2")
        released.set()
        await eventually(lambda: len(_names(hung)) == 4, "and of the rest")
        _told_at_least_once(hung)
        await _commits_are_marked(shop, there)
        await _is_said(shop)
        assert not [line for line in _command_lines() if WORD in line or SECRET in line]
    _nothing_secret_is_kept(shop)


def _paths(listener: Listener, prefix: str) -> list[str]:
    return [asked.path for asked in listener.asked if asked.path.startswith(prefix)]


async def _waits(shop: Stack, waiting: dict[str, int]) -> bool:
    view = (await shop.cli("notify", "list", "--json")).document["receivers"]
    return {one["receiver"]: one["waiting"] for one in view} == waiting


def _names(hung: Listener) -> dict[str, tuple[str, str]]:
    """What it was told, by the names of the messages, in their order."""
    return {
        asked.headers["webhook-id"]: (
            asked.document["type"], asked.document["data"]["operation"]["version"],
        )
        for asked in hung.asked
    }  # fmt: skip


def _told_at_least_once(hung: Listener) -> None:
    assert list(_names(hung).values()) == [
        ("operation.started", "v1"), ("operation.succeeded", "v1"),
        ("operation.started", "v2"), ("operation.succeeded", "v2"),
    ]  # fmt: skip
    for asked in hung.asked:
        Webhook(SECRET).verify(asked.body, asked.headers)


async def _commits_are_marked(shop: Stack, there: Listener) -> None:
    await eventually(lambda: len(_paths(there, "/api/v1")) >= 4, "both commits are marked")
    marked = [
        (asked.path.rpartition("/")[2], asked.document["state"])
        for asked in there.asked
        if asked.path.startswith("/api/v1")
    ]
    second, first = [operation["commit"] for operation in await shop.operations()]
    assert list(dict.fromkeys(marked)) == [
        (first, "pending"), (first, "success"), (second, "pending"), (second, "success"),
    ]  # fmt: skip


async def _is_said(shop: Stack) -> None:
    """By the commands, and of a receiver that is taken up while the daemon runs."""
    tested = await shop.cli("notify", "test")
    assert tested.status == 1
    assert "hung (webhook): it was taken: it answers 200" in tested.out
    assert "chat (apprise): it was taken" in tested.out
    assert "gone (webhook): it wants to be told nothing more" in tested.out
    assert (await shop.cli("notify", "test", "hung")).status == 0
    unknown = await shop.cli("notify", "test", "nobody")
    assert unknown.status == 2
    assert "hung, chat, gone, monitor/gitea/o/monitor" in unknown.err
    said = (await shop.cli("status")).out
    assert 'is told of "nobody", and there is no such app' in said
    file = shop.layout.daemon_file
    file.write_text(file.read_text().replace('"hung"', '"ops"').replace('"nobody"', '"monitor"'))
    reloaded = (await shop.cli("reload", "--json")).document
    assert (reloaded["changed"], reloaded["at_next_start"]) == (["bluegreen.toml"], [])
    await eventually(lambda: _lists(shop, "chat (apprise): told 2, last "), "chat is told too")
    assert await _lists(shop, "ops (webhook): told nothing yet")
    assert "no such app" not in (await shop.cli("status")).out


async def _lists(shop: Stack, line: str) -> bool:
    return line in (await shop.cli("notify", "list")).out


def _command_lines() -> list[str]:
    return [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]


def _nothing_secret_is_kept(shop: Stack) -> None:
    kept = [file for file in shop.root.rglob("*") if file.is_file() and _is_ours(shop, file)]
    assert shop.layout.database in kept
    assert shop.daemon_log in kept
    for file in kept:
        content = file.read_bytes()
        assert WORD.encode() not in content, file
        assert SECRET.encode() not in content, file


def _is_ours(shop: Stack, file: Path) -> bool:
    apps = shop.layout.apps
    return "secrets" not in file.parts and not file.is_relative_to(apps)
