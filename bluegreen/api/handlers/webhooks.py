"""Deliveries of webhooks, and what people ask of them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bluegreen.api.bodies import Empty, WebhookTestBody
from bluegreen.api.context import Api
from bluegreen.api.documents.webhooks import DeliveryTaken
from bluegreen.api.hook_body import NoRoomError, Share, discard_hook, read_hook
from bluegreen.api.paging import page, paged
from bluegreen.api.parameters import idempotency_key
from bluegreen.api.peer import caller_of, requester
from bluegreen.api.problems import problem
from bluegreen.api.queries import PageQuery
from bluegreen.api.views import operation_view
from bluegreen.config.webhook_section import Webhook
from bluegreen.errors import (
    BluegreenError,
    RefusedError,
    StoreError,
    StoreFullError,
    UsageError,
)
from bluegreen.store.deliveries import Delivery
from bluegreen.webhooks.intake import Intake, Taken, TooManyError
from bluegreen.webhooks.nouns import Decision
from bluegreen.webhooks.provider import PROVIDERS
from bluegreen.webhooks.samples import sample

RETRY_AFTER = 30  # seconds, where a delivery cannot be recorded now


async def receive(api: Api, request: web.Request) -> web.Response:
    """Open to all: what is signed right is taken up, whatever else is not told apart."""
    try:
        with api.hook_room.share(caller_of(request).guest) as share:
            status, document = told(await _taken(api, request, share))
    except BluegreenError as error:
        return refusal(error)
    return web.json_response(document, status=status)


async def _taken(api: Api, request: web.Request, share: Share) -> Taken:
    """What can be signed by nobody takes no memory; how long it takes to say so tells nothing."""
    app, body = request.match_info["app"], b""
    if api.hooks.has_rules(app):
        body = await read_hook(request, share)
    else:
        await discard_hook(request)
    return await api.hooks.take(app, request.headers.items(), body, caller_of(request).via)


def refusal(error: BluegreenError) -> web.Response:
    """What the sender is told instead: when to come again, where that is of use."""
    response = problem(error)
    if isinstance(error, StoreError | TooManyError | NoRoomError):
        response.set_status(507 if isinstance(error, StoreFullError) else 503)
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def told(taken: Taken) -> tuple[int, DeliveryTaken]:
    """Status and document of the answer. Raises UsageError for what cannot be read."""
    if taken.delivery.decision == Decision.UNREADABLE:
        raise UsageError(
            taken.delivery.why or "it is not what its event has",
            remedy="see how the sender is set up: docs/webhooks.md of bluegreen",
        )
    return _status(taken.delivery), _answer(taken)


def _status(delivery: Delivery) -> int:
    return 202 if delivery.decision in (Decision.ACCEPTED, Decision.TRIGGERED) else 200


def _answer(taken: Taken) -> DeliveryTaken:
    """What the sender is told: of the operation no more than which it is and how it stands."""
    delivery, operation = taken.delivery, taken.operation
    answer: DeliveryTaken = {
        "delivery": delivery.id,
        "event": delivery.event,
        "version": delivery.version,
        "decision": Decision(delivery.decision),
        "repeated": taken.is_repeated,
        "operation": None,
    }
    if operation is not None:
        answer["operation"] = {"id": operation.id, "app": operation.app, "state": operation.state}
    if delivery.event == "ping":
        answer["pong"] = True
    if delivery.decision in (Decision.IGNORED, Decision.DECLINED):
        answer["ignored"] = delivery.why
    return answer


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """A delivery as people see it."""
    return dict(vars(delivery))


async def webhooks(api: Api, request: web.Request) -> web.Response:
    app = api.app(request)
    rules = app.settings.webhook
    return web.json_response(
        {
            "app": app.name,
            "path": f"/hooks/{app.name}",
            "refused": api.hooks.refused[app.name],
            "webhooks": [await _rule_view(api.hooks, rule) for rule in rules],
        }
    )


async def _rule_view(hooks: Intake, rule: Webhook) -> dict[str, Any]:
    view = rule.model_dump(mode="json")
    view["secret"] = [one.file for one in rule.secret]
    return view | {"problems": await hooks.secrets.wrong(rule)}


async def deliveries(api: Api, request: web.Request, query: PageQuery) -> web.Response:
    app = api.app(request)
    found = await api.desk.parts.store.deliveries.of_app(
        app.name, before=query.before, limit=query.limit + 1
    )
    shown, following = page(request, found, query.limit)
    views = [delivery_view(one) for one in shown]
    return paged({"app": app.name, "deliveries": views, "next": following}, following)


async def replay(api: Api, request: web.Request, _: Empty) -> web.Response:
    taken = await api.hooks.replay(
        api.app(request).name, request.match_info["id"][:200], await requester(request),
        idempotency_key(request),
    )  # fmt: skip
    operation = None if taken.operation is None else operation_view(taken.operation)
    answer = {"delivery": delivery_view(taken.delivery), "operation": operation}
    return web.json_response(answer, status=_status(taken.delivery))


async def try_out(api: Api, request: web.Request, body: WebhookTestBody) -> web.Response:
    """A signed delivery for each rule, through all that a real one goes through, but recorded."""
    app = api.app(request)
    if not app.settings.webhook:
        raise RefusedError(
            f"{app.name} has no webhook",
            remedy="describe one in its file: [[webhook]] in docs/app-file.md of bluegreen",
        )
    rules = [rule for rule in app.settings.webhook if body.event in (None, *rule.on)]
    tried = [
        await _tried(api.hooks, app.name, rule, body) for rule in rules or app.settings.webhook
    ]
    return web.json_response({"app": app.name, "tests": tried})


async def _tried(
    hooks: Intake, app: str, rule: Webhook, body: WebhookTestBody
) -> Mapping[str, Any]:
    event, version, content = sample(rule, body.event, body.version)
    told: dict[str, Any] = {
        "provider": rule.provider, "event": event, "asked": version,
        "version": None, "decision": "refused", "why": None,
    }  # fmt: skip
    [known] = await hooks.secrets.rules([rule])
    if not known.secrets:
        return told | {"why": "; ".join(await hooks.secrets.wrong(rule))}
    headers = PROVIDERS[rule.provider].sign(
        content, known.secrets[0], event, f"test-{secrets.token_hex(8)}", time.time()
    )
    verdict = await hooks.would_do(app, headers.items(), content)
    if verdict is None:
        return told | {"why": "its signature was not accepted"}
    return told | {
        "version": verdict.version, "decision": verdict.decision, "why": verdict.why,
    }  # fmt: skip
