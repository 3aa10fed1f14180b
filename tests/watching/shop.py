"""An app whose releases behave as they are told, in a whole bluegreen."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from tests.ports import kernel_ports
from tests.stack import PYTHON, Stack
from tests.waiting import eventually
from tests.watching import behaving

SHOP = "shop"

_APP = """
[app]
name = "shop"
[source]
directory = "{releases}/{{version}}"
[services.api]
command = "{python} {script} {{port}} {{slot}} {{version}}"
ports = {{ blue = {blue}, green = {green} }}
[[routes]]
path = "/"
service = "api"
[nginx]
listen = ["127.0.0.1:{listen}"]
[gate]
deadline = "{deadline}"
healthy_for = "{healthy_for}"
[[gate.probes]]
service = "api"
http = {{ path = "/health", json = {{ slot = "{{slot}}", version = "{{version}}" }} }}
interval = "0.2s"
{watch}
"""


def write_shop(
    built: Stack, watch: str, *, healthy_for: str = "0.5s", deadline: str = "30s"
) -> None:
    """The app file, with a ``[watch]`` as given; ports stay what they were."""
    if SHOP not in built.ports:
        built.listen[SHOP], *built.ports[SHOP] = kernel_ports(3)
    blue, green = built.ports[SHOP]
    path = built.layout.app_files / f"{SHOP}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        _APP.format(
            releases=built.root / "releases", python=PYTHON, script=Path(behaving.__file__),
            blue=blue, green=green, listen=built.listen[SHOP], watch=watch,
            healthy_for=healthy_for, deadline=deadline,
        )
    )  # fmt: skip


def write_release(built: Stack, version: str, **behaviour: Any) -> None:
    """A release; see ``behaving`` for what it may be told."""
    tree = built.root / "releases" / version
    tree.mkdir(parents=True)
    (tree / "behaviour.json").write_text(json.dumps(behaviour))


async def released(built: Stack, version: str) -> Any:
    """Deploy, and wait for the outcome, whatever it is; the operation's document."""
    return await outcome(built, (await begun(built, version))["id"])


async def begun(built: Stack, version: str) -> Any:
    """Ask for a deploy; its document."""
    status, document = await built.ask("POST", f"/v1/apps/{SHOP}/deployments", {"version": version})
    assert status == 202, document
    return document


async def outcome(built: Stack, operation: int) -> Any:
    """The operation's document once it has ended."""

    async def ended() -> Any:
        status, document = await built.ask("GET", f"/v1/operations/{operation}")
        assert status == 200, document
        return document if document["finished_at"] is not None else None

    return await eventually(ended, "the operation has ended")


async def in_phase(built: Stack, phase: str) -> None:
    """Wait until the app's operation is in that phase."""

    async def is_in_it() -> bool:
        running = (await built.ask("GET", f"/v1/apps/{SHOP}"))[1]["operation"]
        return running is not None and running["phase"] == phase

    await eventually(is_in_it, f"the operation is in {phase}")


def told(built: Stack, operation: int, kind: str = "watch") -> list[Any]:
    """What the operation's events of that kind say."""
    with contextlib.closing(sqlite3.connect(built.layout.database)) as connection:
        rows = connection.execute(
            "SELECT data FROM events WHERE operation = ? AND kind = ? ORDER BY id",
            (operation, kind),
        )
        return [json.loads(data) for (data,) in rows]
