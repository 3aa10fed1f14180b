"""Waiting for what a supervisor says of a service."""

from __future__ import annotations

from bluegreen.model import ServiceUnit, UnitState
from bluegreen.supervisors.interface import Supervisor
from tests.waiting import eventually


async def reaches(supervisor: Supervisor, unit: ServiceUnit, state: UnitState) -> None:
    """Until the service is in that state."""
    await eventually(
        lambda: supervisor.status(unit.key).state is state, f"service {unit.key.service} is {state}"
    )
