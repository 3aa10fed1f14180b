"""Takes deliveries up: verified, then durable, then handed on; each exactly once.

A delivery is on disk before it is answered, and handed on under a key that is its own: a daemon
that was killed in between hands it on after its next start, and what had begun is found by the key.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from bluegreen.errors import (
    BluegreenError,
    OverloadedError,
    RefusedError,
    StoreError,
    UnauthenticatedError,
)
from bluegreen.model import Operation, Requester
from bluegreen.operations.desk import Desk
from bluegreen.store.deliveries import Delivery, NewDelivery
from bluegreen.store.failures import ReusedKeyError
from bluegreen.webhooks.headers import Headers, headers_of
from bluegreen.webhooks.judging import judge, judge_again
from bluegreen.webhooks.keeping import SecretKeeper
from bluegreen.webhooks.nouns import Decision, Verdict
from bluegreen.webhooks.precedence import Precedence

log = logging.getLogger(__name__)

ANSWER_WITHIN = 5.0  # seconds; what is not handed on by then is answered as taken up …
SOON = 8  # … at once, where more of the app are to be handed on
# Deliveries of an app that are to be handed on, some 2 KB each; more have to come again …
LONGEST_LINE = 5000
PATIENT_UP_TO = 500  # … and up to so many let those pass that are being taken up
RETRY = 2.0  # seconds between attempts where the store fails
SAY_AGAIN_AFTER = 60.0  # seconds between two lines on refused deliveries of an app
BESIDE_THE_LOOP = 64 * 1024  # bytes; a larger body is hashed and parsed in a thread
_SECRET_HEADERS = frozenset(
    {
        "x-gitlab-token", "x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature",
        "webhook-signature",
    }
)  # fmt: skip
_Settled = tuple[Delivery, Operation | None]
_Outcome = tuple[
    Decision, Operation | None, str | None
]  # what became of it, its operation, and why
_Result = TypeVar("_Result")
NOBODY = ""  # the count of those for apps that there are not


class RefusedDeliveryError(UnauthenticatedError):
    """Nobody known has signed it, or there is no such app: the sender is not told which."""

    def __init__(self) -> None:
        super().__init__(
            "no webhook takes this delivery",
            remedy="compare its address and its secret with the app file's [[webhook]]",
        )


class TooManyError(OverloadedError):
    """More deliveries of an app are taken up than could be handed on yet."""

    http_status: ClassVar[int] = 503

    def __init__(self, app: str) -> None:
        super().__init__(
            f"{LONGEST_LINE} deliveries for {app} are not handed on yet",
            remedy="send it again later",
        )


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A delivery as it stands, and the operation that it began."""

    delivery: Delivery
    operation: Operation | None
    is_repeated: bool


class Intake:
    """The deliveries of all apps. ``resume`` once at the start, ``close`` at the end."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._deliveries = desk.parts.store.deliveries
        self._handing_on: dict[int, asyncio.Task[_Settled]] = {}
        # What has no task yet, as more than `SOON` of the app are to be handed on.
        self._later: defaultdict[str, deque[Delivery]] = defaultdict(deque)
        self._line: Counter[str] = Counter()  # of both, by app
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._precedence = Precedence()
        # By app: done once more than `SOON` are to be handed on.
        self._crowds: dict[str, asyncio.Future[None]] = {}
        self._said: dict[str, float] = {}
        self._replaying: set[int] = set()  # those that are being begun
        self._forgetting: asyncio.Task[None] | None = None
        self.secrets = SecretKeeper()
        self.refused: Counter[str] = Counter()  # by app, since the daemon was started
        self.decided: Counter[tuple[str, str]] = Counter()  # by app and decision, since then

    async def take(
        self, app: str, pairs: Iterable[tuple[str, str]], body: bytes, via: str
    ) -> Taken:
        """Take up what came to the address of ``app``, with these headers.

        Raises RefusedDeliveryError, and StoreError or TooManyError with nothing recorded.
        """
        headers, received = headers_of(pairs), time.time()
        verdict = None if headers is None else await self._judge(app, headers, body)
        if headers is None or verdict is None:
            self._refuse(app, via)
            raise RefusedDeliveryError
        if verdict.decision is Decision.ACCEPTED and self._line[app] >= LONGEST_LINE:
            raise TooManyError(app)
        new = _new(app, verdict, headers, body, via, received)
        with self._precedence:
            delivery, is_new = await self._deliveries.record(new)
        self._count(delivery, is_new=is_new)
        # A repeated one too, of which nobody had heard in time that it was on disk.
        is_left = is_new or not self._is_in_line(delivery)
        if is_left and delivery.decision == Decision.ACCEPTED:
            self._hand_on(delivery)
        return await self._answer(delivery, is_repeated=not is_new)

    def has_rules(self, app: str) -> bool:
        """Whether anybody could sign what comes to its address."""
        runtime = self._desk.apps.get(app)
        return runtime is not None and bool(runtime.settings.webhook)

    async def _judge(self, app: str, headers: Headers, body: bytes) -> Verdict | None:
        runtime = self._desk.apps.get(app)
        rules = await self.secrets.rules(runtime.settings.webhook if runtime else ())
        if len(body) > BESIDE_THE_LOOP:
            return await asyncio.to_thread(judge, rules, headers, body, time.time())
        return judge(rules, headers, body, time.time())

    async def would_do(
        self, app: str, pairs: Iterable[tuple[str, str]], body: bytes
    ) -> Verdict | None:
        """What ``take`` would make of it; nothing is recorded. None: it would be refused."""
        headers = headers_of(pairs)
        return None if headers is None else await self._judge(app, headers, body)

    async def _answer(self, delivery: Delivery, *, is_repeated: bool) -> Taken:
        task, operation = self._handing_on.get(delivery.id), None
        if task is not None and self._line[delivery.app] <= SOON:
            new = asyncio.get_running_loop().create_future()
            either: list[asyncio.Future[Any]] = [task, self._crowds.setdefault(delivery.app, new)]
            await asyncio.wait(either, timeout=ANSWER_WITHIN, return_when=asyncio.FIRST_COMPLETED)
            if task.done() and not task.cancelled() and task.exception() is None:
                delivery, operation = task.result()
        if operation is None and delivery.operation is not None:
            operation = await self._desk.parts.store.operation(delivery.operation)
        return Taken(delivery=delivery, operation=operation, is_repeated=is_repeated)

    # -- handing on -------------------------------------------------------------------------

    async def resume(self) -> None:
        """Hand on what an earlier daemon has taken up, in the order in which it came.

        From then on bodies are forgotten in their time.
        """
        self._forgetting = asyncio.create_task(
            self._deliveries.bodies.forget_old(), name="old bodies of deliveries"
        )
        for delivery in await self._deliveries.accepted():
            if not self._is_in_line(delivery):  # come, or come again, since the start
                log.info("%s: delivery %d was taken up earlier", delivery.app, delivery.id)
                self._hand_on(delivery)

    def _is_in_line(self, delivery: Delivery) -> bool:
        later = self._later.get(delivery.app, ())
        return delivery.id in self._handing_on or any(one.id == delivery.id for one in later)

    def _hand_on(self, delivery: Delivery) -> None:
        app = delivery.app
        self._line[app] += 1
        if self._line[app] <= SOON:
            self._begin(delivery, self._handed_on(delivery))
            return
        self._later[app].append(delivery)
        if app in self._crowds:
            self._crowds.pop(app).set_result(None)

    def _begin(self, delivery: Delivery, work: Coroutine[Any, Any, _Settled]) -> None:
        """The caller has counted it."""
        task = asyncio.create_task(work, name=f"delivery {delivery.id}")
        self._handing_on[delivery.id] = task
        task.add_done_callback(lambda ended: self._has_ended(delivery, ended))

    def _has_ended(self, delivery: Delivery, task: asyncio.Task[_Settled]) -> None:
        self._handing_on.pop(delivery.id, None)
        self._line[delivery.app] -= 1
        if later := self._later[delivery.app]:
            self._begin(later[0], self._handed_on(later.popleft()))
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("delivery %d was not handed on", delivery.id, exc_info=error)

    async def _handed_on(self, delivery: Delivery) -> _Settled:
        """The same, settled. One after the other: which is the newest is known by their order."""
        async with self._turns[delivery.app]:
            if self._line[delivery.app] <= PATIENT_UP_TO:
                await self._precedence.give_way()
            again = self._trigger if delivery.replay_of is None else self._left_replay
            outcome = await _until_recorded(
                lambda: again(delivery), f"what delivery {delivery.id} of {delivery.app} asks for"
            )
        return await self._settled(delivery, outcome)

    async def _trigger(self, delivery: Delivery) -> _Outcome:
        by = Requester(
            name=f"webhook {delivery.provider} delivery {delivery.delivery}", via=delivery.via
        )
        version = delivery.version or ""
        try:
            found = await self._desk.trigger(delivery.app, version, by, key=_key(delivery))
        except StoreError:
            raise
        except BluegreenError as error:
            return Decision.DECLINED, None, error.message
        if found.operation is None:
            return Decision.DECLINED, None, found.said
        return Decision.TRIGGERED, found.operation, found.said

    async def _left_replay(self, delivery: Delivery) -> _Outcome:
        """Whoever asked for it was told nothing, and may have given it up: it is not begun now."""
        begun = await self._desk.parts.store.by_idempotency_key(delivery.app, _key(delivery))
        if begun is None:
            return (
                Decision.DECLINED,
                None,
                "it was not begun: the daemon ended, or its disk was full",
            )
        return Decision.TRIGGERED, begun, None

    async def _settled(self, delivery: Delivery, outcome: _Outcome) -> _Settled:
        decision, operation, why = outcome
        number = None if operation is None else operation.id
        settled = await _until_recorded(
            lambda: self._deliveries.settle(delivery.id, decision, operation=number, why=why),
            f"what became of delivery {delivery.id} of {delivery.app}",
        )
        self.decided[delivery.app, decision] += 1
        return settled, operation

    # -- by hand ----------------------------------------------------------------------------

    async def replay(self, app: str, name: str, by: Requester, key: str | None) -> Taken:
        """Do again what a delivery asks for, by the rules of today, as the request of a person.

        What keeps an automatic trigger from being done does not count; what keeps a person's
        deploy from it does, and is raised. Raises NotFoundError, RefusedError, ReusedKeyError.
        """
        runtime = self._desk.app(app)
        first = await self._deliveries.find(app, name)
        called = f"replay-{key or secrets.token_hex(8)}"
        _require_same(await self._deliveries.named(app, called), first, key)
        content = await self._deliveries.bodies.of(first.id)
        headers, body = content.headers, content.body
        if body is None:
            raise RefusedError(
                f"the body of delivery {first.id} is no longer kept",
                remedy=f"deploy its version: bluegreen deploy {app} {first.version or 'VERSION'}",
            )
        decision, version, why = judge_again(
            runtime.settings.webhook, first.provider, headers, body
        )
        new = NewDelivery(
            app=app, provider=first.provider, delivery=called,
            digest=None, event=first.event, version=version, decision=decision, why=why,
            via=by.via, received_at=time.time(), headers=headers, body=body,
            replay_of=first.id, replayed_by=by.name,
        )  # fmt: skip
        delivery, is_new = await self._deliveries.record(new)
        _require_same(delivery, first, key)
        operation = None
        if (
            delivery.decision == Decision.ACCEPTED
            and delivery.id not in self._replaying
            and (
                is_new or not self._is_in_line(delivery)  # it came to disk unheard of
            )
        ):
            operation = await self._deploy(delivery, delivery.version or "", by)
        taken = await self._answer(
            await self._deliveries.find(app, str(delivery.id)), is_repeated=not is_new
        )
        return taken if operation is None else replace(taken, operation=operation)

    async def _deploy(self, delivery: Delivery, version: str, by: Requester) -> Operation:
        """Raises what keeps a person's deploy from being begun; that is recorded meanwhile."""
        asked = Requester(
            name=f"{by.name}, replaying webhook {delivery.provider} delivery {delivery.replay_of}",
            via=by.via,
        )
        self._replaying.add(delivery.id)
        try:
            operation = await self._desk.deploy(delivery.app, version, asked, key=_key(delivery))
        except StoreError:  # which of the two it is will be found out once the store answers
            self._hand_on(delivery)
            raise
        except BluegreenError as error:
            self._settle_beside(delivery, (Decision.DECLINED, None, error.message))
            raise
        finally:
            self._replaying.discard(delivery.id)
        self._settle_beside(delivery, (Decision.TRIGGERED, operation, None))
        return operation

    def _settle_beside(self, delivery: Delivery, outcome: _Outcome) -> None:
        self._line[delivery.app] += 1
        self._begin(delivery, self._settled(delivery, outcome))

    def _count(self, delivery: Delivery, *, is_new: bool) -> None:
        """What is accepted is counted once it is settled."""
        if not is_new:
            self.decided[delivery.app, "repeated"] += 1
        elif delivery.decision != Decision.ACCEPTED:
            self.decided[delivery.app, delivery.decision] += 1

    # -- what is refused --------------------------------------------------------------------

    def _refuse(self, app: str, via: str) -> None:
        """Count it, and say so now and then: whoever sends them decides how many there are."""
        known = app if app in self._desk.apps else NOBODY
        self.refused[known] += 1
        now = time.monotonic()
        if now - self._said.get(known, -SAY_AGAIN_AFTER) >= SAY_AGAIN_AFTER:
            self._said[known] = now
            log.warning(
                "a delivery for %s was refused (%d since the start), the last %s",
                known or "an app that does not exist", self.refused[known], via,
            )  # fmt: skip

    async def close(self) -> None:
        """Leave what is not handed on yet to the next start."""
        self._later.clear()
        tasks: list[asyncio.Task[Any]] = [*self._handing_on.values()]
        if self._forgetting is not None:
            tasks.append(self._forgetting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_recorded(attempt: Callable[[], Awaitable[_Result]], what: str) -> _Result:
    """Try again for as long as the store or the host fails: what was taken up is not given up."""
    said = ""
    while True:
        try:
            return await attempt()
        except (StoreError, OSError) as error:
            if str(error) != said:
                said = str(error)
                log.warning("%s is not recorded yet: %s", what, said)
        await asyncio.sleep(RETRY)


def _require_same(known: Delivery | None, first: Delivery, key: str | None) -> None:
    """Raises ReusedKeyError where the key is of the replay of another delivery."""
    if known is not None and known.replay_of != first.id:
        raise ReusedKeyError(key or known.delivery)


def _key(delivery: Delivery) -> str:
    """What makes all attempts at handing it on one."""
    return f"webhook {delivery.provider} {delivery.delivery}"


def _new(
    app: str, verdict: Verdict, headers: Headers, body: bytes, via: str, received: float
) -> NewDelivery:
    digest = None if verdict.is_named_by_signature else hashlib.sha256(body).hexdigest()
    return NewDelivery(
        app=app,
        provider=verdict.provider,
        delivery=verdict.delivery,
        digest=digest,
        event=verdict.event,
        version=verdict.version,
        decision=verdict.decision,
        why=verdict.why,
        via=via,
        received_at=received,
        headers={name: value for name, value in headers.items() if name not in _SECRET_HEADERS},
        body=body,
    )
