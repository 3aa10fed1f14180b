"""Tells one receiver what happens, in order, from a task of its own: nothing waits for it.

What is sent and not yet recorded as sent when the daemon ends is sent again after its next start,
under the same name: at least once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bluegreen.errors import BluegreenError, StoreError
from bluegreen.model import Event
from bluegreen.notifications.answer import NOTHING, Answer, Outcome, failed
from bluegreen.notifications.message import Message, message_of, test_message
from bluegreen.notifications.receivers import Receiver
from bluegreen.notifications.schedule import (
    Patience,
    dropped,
    is_too_old,
    next_step,
    until_retry,
)
from bluegreen.store import Store
from bluegreen.store.outbox import Progress

log = logging.getLogger(__name__)

BATCH = 200  # events read at a time
SKIPPED = 1000  # events that do not concern it, after which the cursor is moved past them
STORE_AGAIN = 5.0  # seconds after the store has failed
SEND_LIMIT = 180.0  # seconds, for a sender that keeps none of its own
LOOK_AGAIN = 60.0  # seconds, where a message waits for something that news should tell


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What couriers work with; the clock gives Unix seconds, chance a number from 0 to 1."""

    store: Store
    news: Callable[[], asyncio.Event]
    patience: Patience = field(default_factory=Patience)
    together: float = 0.5  # seconds in which news are taken together
    now: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random


class Courier:
    """See the module. ``progress`` is None until the store has said how far the receiver is."""

    def __init__(self, receiver: Receiver, around: Surroundings) -> None:
        self.receiver = receiver
        self.progress: Progress | None = None
        self._around = around
        self._seen = 0  # the last event looked at, of those that do not concern it
        self._awake = asyncio.Event()  # set: look again, whatever was waited for
        self._at_once = False  # the next attempt waits for no time that was set for it
        self._sending = asyncio.Lock()
        self._unsaved = False  # the store has not taken ``progress`` yet

    async def open(self) -> Progress:
        """How far it is; one that is new is told of what happens from now on."""
        if self.progress is None:
            self.progress = await self._around.store.outbox.open(
                self.receiver.key, self.receiver.address, self._around.now()
            )
        return self.progress

    async def run(self) -> None:
        """Until cancelled."""
        said = ""
        while True:
            try:
                await self._step()
                said = ""
            except Exception as error:  # also at what a later version has recorded
                known = isinstance(error, BluegreenError)
                why = error.message if isinstance(error, BluegreenError) else repr(error)
                if why != said:
                    said = why
                    message = "%s is not told anything: %s"
                    log.warning(message, self.receiver.label, why, exc_info=not known)
                await asyncio.sleep(STORE_AGAIN)

    async def test(self) -> Answer:
        """Send something that has not happened. One that had gone, and takes it, is told again."""
        now = self._around.now()
        progress = await self.open()
        name = f"test_{progress.mark}_{int(now * 1000)}"
        answer = await self._send(test_message(now), name)
        if answer.outcome is Outcome.ACCEPTED:
            if (await self.open()).gone_at is not None:
                self.progress = await self._around.store.outbox.revive(self.receiver.key)
            self._at_once = True
            self._awake.set()
        return answer

    async def waiting(self, most: int) -> int:
        """How many messages it has not been told, counted up to ``most``."""
        count, after = 0, (await self.open()).cursor
        while count < most and (events := await self._around.store.outbox.after(after, BATCH)):
            count += sum(self.receiver.wants(event) for event in events)
            after = events[-1].id
        return min(count, most)

    # -- one after the other ------------------------------------------------------------------

    async def _step(self) -> None:
        news = self._around.news()
        self._awake.clear()
        progress = await self.open()
        if self._unsaved:
            await self._record(progress)
        if progress.gone_at is not None:
            await self._awake.wait()
            return
        event = await self._next(progress)
        if event is None:
            await news.wait()
            await asyncio.sleep(self._around.together)
            return
        now = self._around.now()
        if is_too_old(event.at, now, self._around.patience):
            self._say_dropped(event, "it was not taken in time")
            await self._record(dropped(progress, event.id))
            return
        wait = until_retry(progress, now, self._around.patience)
        if wait and not self._at_once:
            await self._sleep(wait)
        else:
            self._at_once = False
            await self._tell(progress, event, news)

    async def _next(self, progress: Progress) -> Event | None:
        """The oldest event that concerns it and is not settled."""
        self._seen = max(self._seen, progress.cursor)
        while events := await self._around.store.outbox.after(self._seen, BATCH):
            for event in events:
                if self.receiver.wants(event):
                    return event
                self._seen = event.id
        if self._seen >= progress.cursor + SKIPPED:
            await self._record(replace(progress, cursor=self._seen))
        return None

    async def _tell(self, progress: Progress, event: Event, news: asyncio.Event) -> None:
        answer = await self._attempt(progress, event)
        if answer.outcome is Outcome.NOT_YET:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), LOOK_AGAIN)
            await asyncio.sleep(self._around.together)
            return
        following = next_step(
            progress, event.id, answer, now=self._around.now(), chance=self._around.chance(),
            patience=self._around.patience,
        )  # fmt: skip
        self._say(progress, following, event, answer)
        await self._record(following)

    async def _attempt(self, progress: Progress, event: Event) -> Answer:
        operation = None
        if event.operation is not None:
            operation = await self._around.store.operation(event.operation)
        message = message_of(event, operation)
        if message is None:
            return NOTHING
        return await self._send(message, f"msg_{progress.mark}_{event.id}")

    async def _send(self, message: Message, name: str) -> Answer:
        async with self._sending:
            try:
                async with asyncio.timeout(SEND_LIMIT):
                    return await self.receiver.sender.send(message, name)
            except StoreError:
                raise
            except TimeoutError:
                return failed("it does not answer in time")
            except Exception as error:
                # Nothing of what it says: the address may be in it.
                log.error(
                    "%s: a defect in telling it: %s", self.receiver.label, type(error).__name__
                )
                return failed(f"it could not be told, by a defect ({type(error).__name__})")

    async def _record(self, progress: Progress) -> None:
        """Known here even where the store does not take it: nothing is told again for that."""
        self.progress, self._unsaved = progress, True
        await self._around.store.outbox.save(progress)
        self._unsaved = False

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)

    # -- what people are told -------------------------------------------------------------------

    def _say(self, before: Progress, after: Progress, event: Event, answer: Answer) -> None:
        label = self.receiver.label
        if after.gone_at is not None:
            log.warning(
                "%s wants to be told nothing more (%s); once it does again: bluegreen notify test",
                label, answer.said,
            )  # fmt: skip
        elif after.dropped > before.dropped:
            self._say_dropped(event, answer.said)
        elif after.failures == 1:
            log.warning("%s could not be told: %s; it is tried again", label, answer.said)
        elif before.failures and not after.failures:
            log.info("%s is told again, after %d failures", label, before.failures)

    def _say_dropped(self, event: Event, why: str) -> None:
        log.warning(
            "%s is not told of event %d of %s any more: %s", self.receiver.label, event.id,
            event.app, why,
        )  # fmt: skip
