"""Webhooks and their deliveries."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from bluegreen.api.documents.operations import BriefOperation, Operation
from bluegreen.config.webhook_section import Provider
from bluegreen.webhooks.nouns import Decision


class DeliveryTaken(TypedDict):
    """What the sender of a delivery is told."""

    delivery: int
    event: str
    version: str | None
    decision: Decision
    repeated: bool
    operation: BriefOperation | None
    pong: NotRequired[bool]
    ignored: NotRequired[str | None]


class Webhook(TypedDict):
    """One rule of the app file; of its secrets the files, and what is wrong with them."""

    provider: Provider
    secret: list[str]
    on: list[str]
    version: str
    branches: list[str]
    tags: list[str]
    workflows: list[str]
    environments: list[str]
    prereleases: bool
    problems: list[str]


class Webhooks(TypedDict):
    """``refused`` counts deliveries since the daemon was started."""

    app: str
    path: str
    refused: int
    webhooks: list[Webhook]


class Delivery(TypedDict):
    """What was delivered, and what was made of it."""

    id: int
    app: str
    provider: Provider
    delivery: str
    event: str
    version: str | None
    decision: Decision
    why: str | None
    operation: int | None
    via: str
    received_at: float
    replay_of: int | None
    replayed_by: str | None
    is_whole: bool


class Deliveries(TypedDict):
    """The newest first; ``next`` is where the older ones are, or null."""

    app: str
    deliveries: list[Delivery]
    next: str | None


class DeliveryTried(TypedDict):
    provider: Provider
    event: str
    asked: str | None
    version: str | None
    decision: Decision | Literal["refused"]
    why: str | None


class DeliveriesTried(TypedDict):
    app: str
    tests: list[DeliveryTried]


class Replayed(TypedDict):
    delivery: Delivery
    operation: Operation | None
