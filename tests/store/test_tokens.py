"""Tokens as they are kept."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bluegreen.errors import NotFoundError
from bluegreen.model import Requester
from bluegreen.store import Store
from bluegreen.store.tokens import Hashed, NewToken, Token

ALICE = Requester(name="uid 1000 (alice)", via="unix socket")
HASHED = Hashed(salt=b"salt", digest=b"digest", cost=(16384, 8, 1))
NEW = NewToken(name="ci", scopes=("deploy",), apps=("shop",), expires_at=2e9, by=ALICE)


async def test_a_token_is_found_with_what_its_text_is_compared_with(store: Store) -> None:
    made = await store.tokens.create(NEW, HASHED)
    assert await store.tokens.find(made.id) == (made, HASHED)
    assert await store.tokens.all() == [made]
    expected = Token(
        id=1, name="ci", scopes=("deploy",), apps=("shop",), created_at=made.created_at,
        created_by=ALICE, expires_at=2e9,
    )  # fmt: skip
    assert made == expected
    assert await store.tokens.find(2) is None


async def test_what_was_revoked_stays_so_and_its_number_is_not_given_again(store: Store) -> None:
    await store.tokens.create(NEW, HASHED)
    revoked = await store.tokens.revoke(1, ALICE)
    assert revoked.revoked_by == "uid 1000 (alice) via unix socket"
    assert not revoked.is_valid(now=0)
    again = await store.tokens.revoke(1, Requester(name="bob", via="tcp"))
    assert again == revoked
    assert (await store.tokens.create(NEW, HASHED)).id == 2
    with pytest.raises(NotFoundError, match="no token 3"):
        await store.tokens.revoke(3, ALICE)


async def test_it_says_when_and_from_where_it_was_used_last(store: Store) -> None:
    await store.tokens.create(NEW, HASHED)
    await store.tokens.used(1, 1.5e9, "203.0.113.7")
    [used] = await store.tokens.all()
    assert (used.last_used_at, used.last_used_from) == (1.5e9, "203.0.113.7")


async def test_a_token_expires(store: Store) -> None:
    made = await store.tokens.create(NEW, HASHED)
    assert made.is_valid(now=1.9e9)
    assert not made.is_valid(now=2e9)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tokens SET scopes = '[\"admin\"]'",
        "UPDATE tokens SET expires_at = NULL",
        "UPDATE tokens SET digest = x'00'",
        "UPDATE tokens SET revoked_at = NULL",
        "DELETE FROM tokens",
    ],
)
async def test_what_a_token_may_do_is_never_rewritten(
    store: Store, path: Path, change: str
) -> None:
    await store.tokens.create(NEW, HASHED)
    await store.tokens.revoke(1, ALICE)
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(change)
    connection.close()
