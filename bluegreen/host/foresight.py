"""What ``apply`` would refuse of what is installed, seen without doing any of it."""

from __future__ import annotations

import os

from bluegreen.errors import BluegreenError
from bluegreen.host.apply import Host
from bluegreen.host.places import HostLayout


async def foresee(layout: HostLayout) -> BluegreenError | None:
    """What a plan of ``apply`` ends with; None: a plan, or what only root may look at.

    Raises OSError for what stands in root's way.
    """
    try:
        await Host(layout).plan()
    except BluegreenError as error:
        return error
    except PermissionError:
        if os.geteuid() == 0:
            raise
    return None
