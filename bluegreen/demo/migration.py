"""The end of the demo: migrations that the old version cannot live with, and other visitors."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from bluegreen.demo.account import check, failed_phase
from bluegreen.demo.acts import BLUE, GREEN, Acts, exit_status
from bluegreen.demo.load_process import LoadProcess
from bluegreen.demo.load_settings import LoadSettings
from bluegreen.demo.narration import Narrator
from bluegreen.demo.stage import Stage
from bluegreen.demo.timeline import duration

CONNECTIONS, DOWNLOADS = 32, 4
THINK_SECONDS = 0.05
PATIENCE_SECONDS = 60.0  # of a visitor
_COMMAND = f"{shlex.quote(sys.executable)} -m monitor.migrations"
SECTIONS = f"""
[backup]
sqlite = ["data/servers.db"]

[migrations]
mode = "hold"
check = '''{_COMMAND} check'''
run = '''{_COMMAND} run'''
rollback = '''{_COMMAND} rollback {{name}}'''
"""


async def migrate_under_hold(stage: Stage, narrator: Narrator, acts: Acts) -> None:
    """v2 serves from green; it does so again in the end."""
    narrator.act(
        "Migrations. The app file gets [backup] and [migrations] with mode = \"hold\": the old "
        "version ends",
        "before they run, and requests wait at nginx meanwhile. Others visit now, without "
        "WebSockets.",
    )  # fmt: skip
    stage.add_to_app_file(SECTIONS)
    acts.expect(check(await acts.show("reload") == 0, "the daemon has taken it up"))
    settings = LoadSettings(
        url=stage.url, connections=CONNECTIONS, websockets=0, downloads=DOWNLOADS,
        think=THINK_SECONDS, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    async with LoadProcess(settings) as load:
        await load.ready()
        await _put_back(narrator, acts)
        await _renamed(narrator, acts)
        await _and_back(narrator, acts)
        report = await load.stop()
    narrator.output(
        [
            f"{report.requests:,} requests, {report.failed} failed; the longest wait was "
            f"{duration(report.latency.slowest)}"
        ]
    )
    acts.expect(check(report.failed == 0, "nobody was let down", found=str(report.failures)))


async def _put_back(narrator: Narrator, acts: Acts) -> None:
    narrator.act(
        "v4-unhealthy migrates the data and then does not pass its gate: the backup of a moment "
        "ago is put",
        "back, v2 is started again, and those who waited get their answers from it.",
    )
    ran = await acts.release("deploy", "monitor", "v4-unhealthy")
    failed = failed_phase(ran.documents)
    acts.expect(
        exit_status(ran, 1),
        check(failed == "gate", "refused in its gate", found=str(failed)),
        check(_phases(ran.result).get("backup") == "undone", "the data of before are put back"),
        await acts.served("v2", GREEN),
    )


async def _renamed(narrator: Narrator, acts: Acts) -> None:
    narrator.act("v4-rename renames a column that v2 writes to.")
    ran = await acts.release("deploy", "monitor", "v4-rename")
    acts.expect(exit_status(ran, 0), await acts.served("v4-rename", BLUE))
    await acts.show("status")


async def _and_back(narrator: Narrator, acts: Acts) -> None:
    narrator.act("Second thoughts, here too: the migration is undone by name, under a hold.")
    ran = await acts.release("switch", "back", "monitor")
    acts.expect(exit_status(ran, 0), await acts.served("v2", GREEN))


def _phases(operation: dict[str, Any]) -> dict[str, str]:
    """How each phase of an operation ended."""
    return {phase["phase"]: phase["state"] for phase in operation.get("phases", ())}
