"""Sessions: how long they last, and what ends them."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from bluegreen.api.tokens import Keyring
from bluegreen.dashboard import sessions
from bluegreen.dashboard.entry import page_after
from bluegreen.dashboard.sessions import IDLE, LONGEST, Sessions
from bluegreen.store.tokens import Token
from tests.api.keyrings import ALICE, NEW, keyring

__all__ = ["keyring"]


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def token(keyring: Keyring) -> Token:
    return (await keyring.create(NEW))[0]


async def test_a_session_ends_when_it_is_not_used_and_at_its_longest(
    keyring: Keyring, token: Token, tmp_path: Path
) -> None:
    clock = Clock()
    found = Sessions(keyring, tmp_path / "sessions.json", clock)
    idle = await found.begin(token)
    clock.now += IDLE + 1
    assert await found.find(idle) is None
    assert await found.find(idle) is None
    used, ended = await found.begin(token), []
    session = await found.find(used)
    assert session is not None
    with found.while_open(session, lambda: ended.append(True)):
        for _ in range(int(LONGEST / (IDLE / 2))):
            clock.now += IDLE / 2
            assert await found.find(used) is session
        clock.now += 1
        assert not found.goes_on(session)
        assert await found.find(used) is None
    assert ended == [True]


async def test_a_session_outlasts_the_daemon_and_not_its_token(
    keyring: Keyring, token: Token, tmp_path: Path
) -> None:
    path = tmp_path / "sessions.json"
    first = Sessions(keyring, path)
    kept, gone = await first.begin(token), await first.begin(token)
    await first.end(gone)
    await first.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert kept not in path.read_text()
    second = Sessions(keyring, path)
    await second.load()
    session = await second.find(kept)
    assert session is not None
    assert session.token == token
    assert await second.find(gone) is None
    await keyring.revoke(token.id, ALICE)
    assert not second.goes_on(session)
    assert await second.find(kept) is None
    third = Sessions(keyring, path)
    await third.load()
    assert await third.find(kept) is None


async def test_a_file_that_is_none_and_one_that_cannot_be_written_keep_nobody_out(
    keyring: Keyring, token: Token, tmp_path: Path
) -> None:
    path = tmp_path / "sessions.json"
    for text in ("", "[]", '{"x": 1}', '{"x": {"token": 1}}', "\0"):
        path.write_text(text)
        found = Sessions(keyring, path)
        await found.load()
        assert await found.find(await found.begin(token)) is not None
    found = Sessions(keyring, tmp_path / "gone" / "sessions.json")
    await found.load()
    assert await found.find(await found.begin(token)) is not None


async def test_of_too_many_the_one_that_was_used_longest_ago_ends(
    keyring: Keyring, token: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    clock = Clock()
    found = Sessions(keyring, tmp_path / "sessions.json", clock)
    begun = []
    for _ in range(3):
        clock.now += 1
        begun.append(await found.begin(token))
    clock.now += 1
    assert await found.find(begun[0]) is not None
    await found.begin(token)
    assert [await found.find(secret) is not None for secret in begun] == [True, False, True]


@pytest.mark.parametrize(
    ("asked", "leads"),
    [
        ("/apps/shop", "/apps/shop"),
        ("/apps/shop/deploy?version=v1.2", "/apps/shop/deploy?version=v1.2"),
        ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"), ("", "/"), ("/a\r\nSet-Cookie: x=y", "/"),
    ],
)  # fmt: skip
def test_after_a_login_only_pages_of_this_site_follow(asked: str, leads: str) -> None:
    assert page_after(asked) == leads


async def test_all_that_a_page_asks_at_once_after_a_restart_is_of_its_session(
    keyring: Keyring, token: Token, tmp_path: Path
) -> None:
    first = Sessions(keyring, tmp_path / "sessions.json")
    secret = await first.begin(token)
    await first.close()
    second = Sessions(keyring, tmp_path / "sessions.json")
    await second.load()
    found = await asyncio.gather(*(second.find(secret) for _ in range(3)))
    assert found[0] is not None
    assert found == [found[0]] * 3
    await second.close()
