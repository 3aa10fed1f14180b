"""The tokens of a store of a test's own, compared at little cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluegreen.api import tokens
from bluegreen.api.tokens import Keyring
from bluegreen.model import Requester
from bluegreen.store import Store
from bluegreen.store.tokens import NewToken

ALICE = Requester(name="uid 1000 (alice)", via="unix socket")
NEW = NewToken(name="", scopes=("read",), apps=None, expires_at=None, by=ALICE)


@pytest.fixture
async def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Keyring]:
    monkeypatch.setattr(tokens, "COST", (2**10, 8, 1))
    store = await Store.open(tmp_path / "bluegreen.db")
    built = Keyring(store.tokens)
    yield built
    await built.close()
    await store.close()
