"""The secrets of webhooks: read from the operator's files, and never said."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bluegreen.config import secret_file
from bluegreen.config.env_file import read_small_file
from bluegreen.config.webhook_section import Webhook
from bluegreen.webhooks import keeping
from bluegreen.webhooks.keeping import SecretKeeper
from tests.waiting import PATIENCE
from tests.webhooks.deliveries import SECRET, STANDARD_SECRET


def webhook(provider: str, *files: Path) -> Webhook:
    values: dict[str, Any] = {"provider": provider, "on": "push", "version": "tag"}
    return Webhook.model_validate(values | {"secret": [{"file": str(file)} for file in files]})


async def test_both_secrets_count_without_the_line_ends_that_editors_leave(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(f"{SECRET}\n")
    other.write_text(f"{STANDARD_SECRET}\r\n")
    [rule] = await SecretKeeper().rules([webhook("github", one, other)])
    assert rule.secrets == [SECRET, STANDARD_SECRET]
    assert SECRET not in repr(rule)


@pytest.mark.parametrize(
    ("provider", "text", "said"),
    [
        ("github", "short", "too short"),
        ("github", "", "too short"),
        ("gitlab", "whsec_c2hvcnQ=", "too short"),
        ("standard", SECRET, "none of a standard webhook"),
        ("standard", None, "cannot be read"),
    ],
)
async def test_one_that_cannot_be_used_signs_nothing_and_says_why(
    tmp_path: Path, provider: str, text: str | None, said: str
) -> None:
    file, keeper = tmp_path / "secret", SecretKeeper()
    if text is not None:
        file.write_text(text)
    rule = webhook(provider, file)
    assert [known.secrets for known in await keeper.rules([rule])] == [[]]
    [wrong] = await keeper.wrong(rule)
    assert said in wrong
    assert str(file) in wrong
    assert not text or text not in wrong.replace(str(file), "").replace("too short", "")


async def test_a_file_that_hangs_keeps_no_other_waiting_and_what_was_known_counts_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(SECRET)
    other.write_text(SECRET)
    hangs, released = threading.Event(), threading.Event()

    def slowly(file: Path, *, what: str) -> str:
        if file == one and hangs.is_set():
            released.wait()
        return read_small_file(file, what=what)

    monkeypatch.setattr(secret_file, "read_small_file", slowly)
    monkeypatch.setattr(keeping, "READ_AGAIN_AFTER", 0.0)
    keeper = SecretKeeper()
    try:
        await keeper.rules([webhook("github", one)])
        monkeypatch.setattr(keeping, "READ_LIMIT", 0.05)
        hangs.set()
        for _ in range(3):
            [known] = await keeper.rules([webhook("github", one)])
            assert known.secrets == [SECRET]
        [wrong] = await keeper.wrong(webhook("github", one))
        assert "was not read within" in wrong
        stuck = [each for each in threading.enumerate() if each.name == "webhook secret"]
        assert [each.daemon for each in stuck] == [True]  # the daemon's end does not wait for it
        monkeypatch.setattr(keeping, "READ_LIMIT", 2 * PATIENCE)
        assert await keeper.wrong(webhook("github", other)) == []
        assert len(caplog.records) == 1  # and not one for each reading
        keeper._reading = {
            file: replace(each, begun=each.begun - 2 * PATIENCE)
            for file, each in keeper._reading.items()
        }
        async with asyncio.timeout(PATIENCE):  # nor one of its own app
            [known] = await keeper.rules([webhook("github", one, other)])
        assert known.secrets == [SECRET, SECRET]
    finally:
        released.set()


async def test_a_changed_secret_counts_soon_without_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "READ_AGAIN_AFTER", 1000.0)
    file, keeper = tmp_path / "secret", SecretKeeper()
    file.write_text(SECRET)
    rule = webhook("github", file)
    await keeper.rules([rule])
    file.write_text(STANDARD_SECRET)
    [known] = await keeper.rules([rule])
    assert known.secrets == [SECRET]  # not read at every delivery
    monkeypatch.setattr(keeping, "READ_AGAIN_AFTER", 0.0)
    [known] = await keeper.rules([rule])
    assert known.secrets == [STANDARD_SECRET]
