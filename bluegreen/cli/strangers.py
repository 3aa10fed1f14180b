"""Who else listens where an app is to, before anything of it is started."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator

import psutil

from bluegreen.config.settings import AppSettings
from bluegreen.layout import Layout
from bluegreen.model import Slot
from bluegreen.traffic.rendering import pid_file
from bluegreen.traffic.sockets import taken_by_strangers


def strangers(settings: AppSettings, layout: Layout) -> list[str]:
    """A line for each port of an app that somebody else holds now. Blocking.

    Only where that can be told: of a root of its own, by its user or by root.
    """
    if layout.is_whole or not _may_tell(layout):
        return []
    ports = {
        f"127.0.0.1:{address.port}"
        for service in settings.services.values()
        for slot in Slot
        for address in service.addresses(slot, layout.run)
        if address.port is not None
    }
    ours = list(_ours(layout))
    return taken_by_strangers([*settings.nginx.listen, *ports], ours)


def _may_tell(layout: Layout) -> bool:
    """Whether the sockets of the root's processes are shown to us, if there are any."""
    try:
        return os.geteuid() in (0, layout.process_records.stat().st_uid)
    except FileNotFoundError:
        return True


def _ours(layout: Layout) -> Iterator[psutil.Process]:
    """Every process in a session that the root's daemon has begun: services, jobs, nginx."""
    leaders = set()
    for record in layout.process_records.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):  # it has ended since
            leaders.add(json.loads(record.read_text())["session"]["leader"]["pid"])
    with contextlib.suppress(FileNotFoundError, ValueError):  # nginx does not run
        leaders.add(int(pid_file(layout).read_text()))
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(process.pid) in leaders:
                yield process
