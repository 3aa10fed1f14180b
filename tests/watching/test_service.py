from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import cast

import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.errors import TrafficError
from bluegreen.layout import Layout
from bluegreen.traffic.control import TrafficControl
from bluegreen.watching.service import Watching

SHOP = {
    "app": {"name": "shop"},
    "source": {"directory": "/srv/releases/{version}"},
    "services": {"web": {"command": "true", "ports": {"blue": 7001, "green": 7002}}},
}


class FullDisk:
    """Markers that cannot be made as long as there is no room."""

    senders = frozenset({os.geteuid()})
    has_room = False

    async def tell_of_requests(self, app: str, told: bool) -> None:
        if told and not self.has_room:
            raise TrafficError("there is no room", remedy="make some")


async def test_of_an_app_that_nginx_cannot_be_asked_about_nobody_listens_on(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout, disk = Layout(root), FullDisk()
    layout.watch_socket.parent.mkdir(parents=True)
    watching = Watching(layout, cast("TrafficControl", disk))
    watching.open()
    settings = AppSettings.model_validate(SHOP)
    try:
        assert await watching.begin(settings) is None
        assert "shop is watched without its requests: there is no room" in caplog.text
        assert [getattr(record, "app", None) for record in caplog.records] == ["shop"]
        await asyncio.sleep(0)  # in which a task that was cancelled ends
        assert "look at requests" not in {task.get_name() for task in asyncio.all_tasks()}

        disk.has_room = True
        recording = await watching.begin(settings)
        assert recording is not None, "the next one is watched all the same"
        await watching.end(recording)
    finally:
        await watching.close()
