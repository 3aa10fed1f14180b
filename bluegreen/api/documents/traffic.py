"""Traffic: moved, held, and let through to the idle slot."""

from __future__ import annotations

from typing_extensions import TypedDict

from bluegreen.api.documents.operations import Operation
from bluegreen.model import Slot
from bluegreen.operations.way_back import How


class HoldState(TypedDict):
    """Since when requests wait, and until when at the latest. ``operation`` null: by hand."""

    since: float
    until: float
    by: str
    operation: int | None


class Switched(TypedDict):
    """Traffic has moved. ``operation`` is null while the store cannot record it."""

    app: str
    to: Slot
    version: str | None
    operation: Operation | None
    warnings: list[str]
    seconds: float


class Held(TypedDict):
    app: str
    held: HoldState


class Released(TypedDict):
    """For how long requests were held."""

    app: str
    seconds: float
    warnings: list[str]


class OwnPreview(TypedDict):
    """Where the idle slot has a name of its own; ``allow`` are the networks that need no key.

    ``site`` is the name alone where only the administrator knows the rest of the address.
    """

    site: str
    link: str
    allow: list[str]


class PreviewIssued(TypedDict):
    """How to see the idle slot; ``link`` is null where only the administrator knows the site.

    ``own`` is null where the slot has no name of its own.
    """

    app: str
    slot: Slot
    version: str | None
    until: float
    header: dict[str, str]
    path: str
    link: str | None
    own: OwnPreview | None


class PreviewsRevoked(TypedDict):
    app: str
    revoked: int


class SwitchBack(TypedDict):
    """What a switch back would do."""

    how: How
    says: str
    migrations: list[str]
    backup: int | None
    since: float | None
