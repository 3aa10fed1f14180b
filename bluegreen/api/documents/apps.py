"""Apps and their slots."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from bluegreen.api.documents.operations import RunningOperation
from bluegreen.api.documents.queue import QueueState, UnsettledOperation
from bluegreen.api.documents.traffic import HoldState, SwitchBack
from bluegreen.model import Slot, SlotState, UnitState


class LockState(TypedDict):
    """Deploys are refused."""

    app: str
    reason: str
    by: str
    at: float


class InstanceState(TypedDict):
    """One instance of a service of a slot."""

    state: UnitState
    pid: int | None
    restarts: int
    last_exit: str | None
    address: str | None


class ServiceState(TypedDict):
    """One service of a slot: as its instance is that is worst off, with the restarts of all."""

    state: UnitState
    pid: int | None
    restarts: int
    last_exit: str | None
    address: str | None  # of the first instance
    exclusive: bool  # runs while its slot has the traffic
    instances: NotRequired[list[InstanceState]]  # where there are several, the first one first


class SlotHealth(TypedDict):
    """What the probes say."""

    healthy: bool
    failing: list[str]


class SlotContent(TypedDict):
    """What a slot holds, and how it is."""

    state: SlotState
    version: str | None
    commit: str | None
    operation: int | None
    hot_until: float | None
    ready: bool
    services: dict[str, ServiceState]
    connections: int | None  # in use, of a slot that runs without traffic; None: not asked for
    health: SlotHealth | None


class BothSlots(TypedDict):
    """By name."""

    blue: SlotContent
    green: SlotContent


class ShareState(TypedDict):
    """So many percent of the clients go to a slot that is not the active one."""

    slot: Slot
    percent: int


class AppState(TypedDict):
    """One app."""

    app: str
    active: Slot | None
    closed: bool
    held: HoldState | None
    share: ShareState | None
    slots: BothSlots
    operation: RunningOperation | None
    queue: QueueState
    unsettled: list[UnsettledOperation]
    lock: LockState | None
    switch_back: SwitchBack
    replaces: dict[str, str]
    listen: list[str]
    server_name: list[str]


class Findings(TypedDict):
    """What is wrong."""

    problems: list[str]
    warnings: list[str]
    failed_authentications: NotRequired[int]  # since the daemon was started; not of some apps only


class Apps(Findings):
    """Every app, and what is wrong."""

    apps: list[AppState]


class Locked(TypedDict):
    app: str
    reason: str
    by: str


class Unlocked(TypedDict):
    app: str
