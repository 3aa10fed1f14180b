"""The secrets of webhooks, read from the operator's files, and what is wrong with those."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from bluegreen.config.secret_file import SecretFile
from bluegreen.config.webhook_section import Webhook
from bluegreen.errors import ConfigError
from bluegreen.webhooks.judging import Rule
from bluegreen.webhooks.provider import PROVIDERS

log = logging.getLogger(__name__)

READ_AGAIN_AFTER = 1.0  # seconds: a secret that was changed counts from then on
READ_LIMIT = 2.0  # seconds for a file to be read
SAY_AGAIN_AFTER = 600.0  # seconds between two lines of the log on what is wrong with a file


@dataclass(frozen=True)
class _Read:
    text: str = field(repr=False)  # empty where the file cannot be used
    wrong: str | None
    at: float  # by the monotonic clock


@dataclass(frozen=True)
class _Reading:
    file: str
    done: asyncio.Future[_Read]
    begun: float  # by the monotonic clock


@dataclass(frozen=True)
class _Known:
    webhooks: Sequence[Webhook]  # held, so that nothing else is where it is
    rules: Sequence[Rule]
    until: float  # by the monotonic clock


class SecretKeeper:
    """Reads each file once in a while, in a thread; never says what is in it.

    Each file is read by itself: one that hangs keeps no other's deliveries waiting.
    """

    def __init__(self) -> None:
        self._read: dict[str, _Read] = {}
        self._known: dict[int, _Known] = {}  # by where its webhooks are
        self._reading: dict[str, _Reading] = {}
        self._said: dict[str, tuple[str, float]] = {}  # of a file, and when

    async def rules(self, webhooks: Sequence[Webhook]) -> Sequence[Rule]:
        """Each with the secrets that could sign; a file that cannot be used has none."""
        now = time.monotonic()
        known = self._known.get(id(webhooks))
        if known is not None and now < known.until:
            return known.rules
        await self._refresh(webhooks)
        rules = [
            Rule(webhook=webhook, secrets=[text for text, _ in self._of(webhook) if text])
            for webhook in webhooks
        ]
        read = [self._read[secret.file].at for webhook in webhooks for secret in webhook.secret]
        until = min(read, default=now) + READ_AGAIN_AFTER
        self._known = {place: one for place, one in self._known.items() if now < one.until}
        self._known[id(webhooks)] = _Known(webhooks, rules, until)
        return rules

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
        if old := self._old(files):
            reading = [self._begin(file) for file in old]
            began = time.monotonic() - READ_LIMIT  # what was begun before that hangs
            fresh = [one for one in reading if one.begun > began]
            if fresh:
                left = max(one.begun for one in fresh) - began
                await asyncio.wait([one.done for one in fresh], timeout=left)
            for one in reading:
                if not one.done.done():
                    self._take(one.file, self._late(one.file))

    def _old(self, files: set[str]) -> list[str]:
        now = time.monotonic()
        return [
            file
            for file in files
            if file not in self._read or now - self._read[file].at > READ_AGAIN_AFTER
        ]

    def _begin(self, file: str) -> _Reading:
        """What reads it already, or a new one: a file that hangs holds one thread up."""
        if file not in self._reading:
            done = _in_thread(file)
            self._reading[file] = _Reading(file, done, time.monotonic())
            done.add_done_callback(lambda done: self._has_ended(file, done))
        return self._reading[file]

    def _has_ended(self, file: str, done: asyncio.Future[_Read]) -> None:
        del self._reading[file]
        self._take(file, done.result())

    def _late(self, file: str) -> _Read:
        """What was right before counts on: its sender need not suffer from a slow disk."""
        wrong = f"the secret file {file} was not read within {READ_LIMIT:g} s"
        return replace(self._read.get(file, _Read("", None, 0.0)), wrong=wrong, at=time.monotonic())

    def _take(self, file: str, read: _Read) -> None:
        self._read[file] = read
        self._known.clear()
        if read.wrong is None:
            self._said.pop(file, None)
            return
        said, at = self._said.get(file, ("", 0.0))
        if said != read.wrong or read.at - at >= SAY_AGAIN_AFTER:
            self._said[file] = (read.wrong, read.at)
            log.warning("deliveries of a webhook cannot be verified: %s", read.wrong)


def _unusable(provider: str, file: str) -> str:
    if provider == "standard":
        return f"the secret in {file} is none of a standard webhook: whsec_ and base64"
    return f"the secret in {file} is too short: use 16 characters or more, chosen at random"


def _in_thread(file: str) -> asyncio.Future[_Read]:
    """One of its own: where it hangs, neither other work nor the daemon's end waits for it."""
    read: Future[_Read] = Future()

    def run() -> None:
        try:
            read.set_result(_read_one(file))
        except BaseException as error:
            read.set_exception(error)

    threading.Thread(target=run, name="webhook secret", daemon=True).start()
    return asyncio.wrap_future(read)


def _read_one(file: str) -> _Read:
    try:
        text, wrong = SecretFile(file=file).read().strip(), None
    except ConfigError as error:
        text, wrong = "", error.message
    return _Read(text, wrong, time.monotonic())
