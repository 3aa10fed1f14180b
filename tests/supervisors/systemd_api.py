"""The API and the command, for an app whose services are units: runs on a systemd host."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

from bluegreen.api.bus import Bus
from bluegreen.api.context import Api
from bluegreen.api.control_socket import control_socket
from bluegreen.api.server import serving
from bluegreen.api.tokens import Keyring
from bluegreen.config.api_section import ApiSection
from bluegreen.config.load import Configuration, load_app
from bluegreen.config.settings import DaemonSettings
from bluegreen.layout import Layout
from bluegreen.notifications.courier import Surroundings
from bluegreen.notifications.service import Notifications
from bluegreen.operations.acceptance import InForce
from bluegreen.operations.desk import Desk
from bluegreen.operations.parts import Parts
from bluegreen.operations.runtime import AppRuntime
from bluegreen.store import Store
from bluegreen.traffic.control import TrafficControl
from bluegreen.webhooks.intake import Intake
from tests.supervisors.systemd_workshop import Workshop, command

APP_FILE = """\
[app]
name = "{app}"
user = "shopkeeper"

[source]
directory = "/srv/{{version}}"

[services.api]
command = "true"

[services.web]
command = "true"
"""


async def bluegreen(*arguments: str, check: bool = True) -> str:
    return await command(sys.executable, "-m", "bluegreen", *arguments, "--root", "/", check=check)


def unasked(_: bool) -> Any:
    raise AssertionError("nothing here reloads")


@contextlib.asynccontextmanager
async def api(shop: Workshop) -> AsyncIterator[AppRuntime]:
    """The API of a daemon whose services are units."""
    file = shop.work / f"{shop.app}.toml"
    file.write_text(APP_FILE.format(app=shop.app))
    settings = load_app(file)
    in_force = InForce(
        configuration=Configuration(daemon=DaemonSettings(), apps={shop.app: settings})
    )
    supervisor = await shop.supervisor()
    bus = Bus()
    shop.layout.database.parent.mkdir(parents=True, exist_ok=True)
    store = await Store.open(shop.work / "bluegreen.db", events=bus.publish)
    traffic = TrafficControl(Layout(shop.work / "nginx"), own_nginx=True)
    await traffic.open([])
    parts = Parts(
        layout=shop.layout, store=store, supervisor=supervisor, traffic=traffic,
        builds=asyncio.Semaphore(1),
    )  # fmt: skip
    desk = Desk(parts)
    desk.apps[shop.app] = AppRuntime(
        settings=settings, parts=parts, slots=await store.slots(shop.app)
    )
    control = control_socket(shop.layout.control_socket, None)
    keyring = Keyring(store.tokens)
    notifications = Notifications(Surroundings(store=store, news=bus.listen))
    try:
        built = Api(desk, bus, unasked, lambda: in_force, Intake(desk), keyring, notifications)
        async with serving(built, control) as doors:
            await doors.open(ApiSection())
            yield desk.apps[shop.app]
    finally:
        control.remove()
        await desk.close()
        await traffic.close(stop_nginx=True)
        await store.close()
