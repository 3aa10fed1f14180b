"""The secrets of webhooks, read from the operator's files, and what is wrong with those."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bluegreen.config.env_file import read_small_file
from bluegreen.config.webhook_section import Webhook
from bluegreen.errors import ConfigError
from bluegreen.webhooks.judging import Rule
from bluegreen.webhooks.provider import PROVIDERS

log = logging.getLogger(__name__)

READ_AGAIN_AFTER = 1.0  # seconds: a secret that was changed counts from then on


@dataclass(frozen=True)
class _Read:
    text: str = field(repr=False)  # empty where the file cannot be used
    wrong: str | None
    at: float  # by the monotonic clock


class SecretKeeper:
    """Reads each file once in a while, in a thread; never says what is in it."""

    def __init__(self) -> None:
        self._read: dict[str, _Read] = {}
        self._reading = asyncio.Lock()

    async def rules(self, webhooks: Sequence[Webhook]) -> list[Rule]:
        """Each with the secrets that could sign; a file that cannot be used has none."""
        await self._refresh(webhooks)
        return [
            Rule(webhook=webhook, secrets=[text for text, _ in self._of(webhook) if text])
            for webhook in webhooks
        ]

    async def wrong(self, webhook: Webhook) -> list[str]:
        """Why deliveries that are signed by one of its secrets would be refused."""
        await self._refresh([webhook])
        return [wrong for _, wrong in self._of(webhook) if wrong is not None]

    def _of(self, webhook: Webhook) -> list[tuple[str, str | None]]:
        """The text and what is wrong of each; the text is empty where it is of no use."""
        found: list[tuple[str, str | None]] = []
        for secret in webhook.secret:
            read = self._read[secret.file]
            if read.wrong is None and not PROVIDERS[webhook.provider].is_usable(read.text):
                found.append(("", _unusable(webhook.provider, secret.file)))
            else:
                found.append((read.text, read.wrong))
        return found

    async def _refresh(self, webhooks: Sequence[Webhook]) -> None:
        files = {secret.file for webhook in webhooks for secret in webhook.secret}
        if not self._old(files):
            return
        async with self._reading:
            if old := self._old(files):
                self._read |= await asyncio.to_thread(_read_all, old)

    def _old(self, files: set[str]) -> list[str]:
        now = time.monotonic()
        return [
            file
            for file in files
            if file not in self._read or now - self._read[file].at > READ_AGAIN_AFTER
        ]


def _unusable(provider: str, file: str) -> str:
    if provider == "standard":
        return f"the secret in {file} is none of a standard webhook: whsec_ and base64"
    return f"the secret in {file} is too short: use 16 characters or more, chosen at random"


def _read_all(files: Sequence[str]) -> dict[str, _Read]:
    found = {}
    for file in files:
        try:
            text, wrong = read_small_file(Path(file), what="secret file").strip(), None
        except ConfigError as error:
            text, wrong = "", error.message
            log.warning("deliveries of a webhook cannot be verified: %s", wrong)
        found[file] = _Read(text, wrong, time.monotonic())
    return found
