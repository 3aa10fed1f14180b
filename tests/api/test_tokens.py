"""Texts of tokens, compared with what the store keeps of them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from bluegreen.api import tokens
from bluegreen.api.tokens import Keyring
from bluegreen.errors import OverloadedError
from bluegreen.store.tokens import Hashed
from tests.api.keyrings import ALICE, NEW, keyring
from tests.waiting import PATIENCE

__all__ = ["keyring"]


async def test_a_text_is_compared_once_and_remembered(keyring: Keyring) -> None:
    token, text = await keyring.create(NEW)
    assert keyring.remembered(text) is None
    found = await asyncio.gather(*(keyring.find(text) for _ in range(100)))
    assert set(found) == {token}
    assert keyring.remembered(text) == token
    assert await keyring.find(text[:-1] + ("A" if text[-1] != "A" else "B")) is None


async def test_what_lasts_is_ended_with_its_token(keyring: Keyring) -> None:
    for expires_at, ends in ((None, False), (time.time() + 3600, False), (time.time(), True)):
        token, _ = await keyring.create(replace(NEW, expires_at=expires_at))
        ended = asyncio.Event()
        with keyring.while_valid(token, ended.set):
            if not ends:
                assert not ended.is_set()
                await keyring.revoke(token.id, ALICE)
            await asyncio.wait_for(ended.wait(), PATIENCE)
        assert not keyring._lasting
        ended.clear()
        if not ends:
            with keyring.while_valid(token, ended.set):  # it was let in before, and is late
                assert ended.is_set()


async def test_what_is_revoked_while_it_is_compared_is_not_remembered(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, text = await keyring.create(NEW)
    hashed, go = asyncio.Event(), asyncio.Event()
    real = keyring._hash

    async def slow(secret: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
        hashed.set()
        await go.wait()
        return await real(secret, salt, cost)

    monkeypatch.setattr(keyring, "_hash", slow)
    comparing = asyncio.create_task(keyring.find(text))
    await asyncio.wait_for(hashed.wait(), PATIENCE)
    await keyring.revoke(token.id, ALICE)
    go.set()
    assert await comparing is None
    assert keyring.remembered(text) is None


async def test_what_is_remembered_is_bounded_and_ends_with_its_time(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "REMEMBERED", 2)
    made = [await keyring.create(NEW) for _ in range(3)]
    for token, text in made:
        assert await keyring.find(text) == token
    assert [keyring.remembered(text) is None for _, text in made] == [True, False, False]
    monkeypatch.setattr("bluegreen.store.tokens.Token.is_valid", lambda *_: False)
    assert keyring.remembered(made[2][1]) is None
    assert len(keyring._right) == 1


async def test_only_so_many_wait_to_be_compared(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST_WAITING", 2)
    _, text = await keyring.create(NEW)
    texts = [text[:-1] + last for last in "abcdefgh"]
    found = await asyncio.gather(*map(keyring.find, texts), return_exceptions=True)
    assert any(isinstance(one, OverloadedError) for one in found)
    assert all(one is None or isinstance(one, OverloadedError) for one in found) or text in texts


async def test_a_use_is_recorded_once_in_a_while(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, _ = await keyring.create(NEW)
    for number in range(10):
        keyring.note_use(token, f"198.51.100.{number}")
    await keyring.close()
    [used] = await keyring.all()
    assert used.last_used_from == "198.51.100.0"


def test_the_text_is_in_no_representation_of_what_is_kept() -> None:
    shown = repr(Hashed(salt=b"salty", digest=b"digested", cost=(1024, 8, 1)))
    assert "salty" not in shown
    assert "digested" not in shown
