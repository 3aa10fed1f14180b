"""What the units of a systemd host are called, for who writes them and who starts them."""

from __future__ import annotations

import re

from bluegreen.model import UnitKey

_LATER = re.compile(r"@([a-z]+)-[0-9]+\.service$")
PREFIX = "bluegreen-"  # of every unit that the daemon may manage, and of no other
TARGET = "bluegreen.target"


def service_unit(key: UnitKey) -> str:
    """``bluegreen-shop-api@blue.service``: one service in one slot.

    Its second instance is ``bluegreen-shop-api@blue-2.service``.
    """
    more = "" if key.instance == 1 else f"-{key.instance}"
    return f"{PREFIX}{key.app}-{key.service}@{key.slot.value}{more}.service"


def first_instance(unit: str) -> str:
    """The unit of a service's first instance, from that of any."""
    return _LATER.sub(r"@\1.service", unit)


def job_template(app: str) -> str:
    """The template that an app's jobs are instances of."""
    return f"{PREFIX}{app}-job@.service"


def job_unit(app: str, job: str) -> str:
    """``bluegreen-shop-job@12-build-assets.service``: one job."""
    return job_template(app).replace("@", f"@{job}")
