"""Of a service's instances in a slot: which there are, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping

from bluegreen.model import Slot, UnitKey


def unit_keys(app: str, slot: Slot, instances: Mapping[str, int]) -> list[UnitKey]:
    """Each instance of services in a slot; ``instances`` is how many each service has there."""
    return [
        UnitKey(app=app, slot=slot, service=service, instance=instance)
        for service, number in instances.items()
        for instance in range(1, number + 1)
    ]


def instance_name(key: UnitKey, of: int) -> str:
    """For people: ``api``, or ``api 2`` where there are several, ``of`` in number."""
    return key.service if of == 1 else f"{key.service} {key.instance}"
