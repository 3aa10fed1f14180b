"""A daemon that never comes up again, behind a control socket that systemd keeps."""

from __future__ import annotations

import asyncio

from tests.host.lab import Said
from tests.host.program import PROGRAM
from tests.production.asking import is_in, run_file
from tests.production.holding import OPTIONS
from tests.production.production import APP, DAEMON, Production
from tests.waiting import PATIENCE, eventually

CRASH_LOOP = "[Service]\nExecStart=\nExecStart=/bin/false\n"


async def _bluegreen(production: Production, *arguments: str) -> Said:
    """A command that gives up in its time, which is more than others take."""
    command = (f"{PROGRAM}/bin/bluegreen", *arguments)
    return await production.host.run(*command, check=False, timeout=2 * PATIENCE)


async def test_commands_give_up_on_a_daemon_that_crash_loops_and_say_where_to_look(
    bare: Production,
) -> None:
    await bare.set_up(**OPTIONS)
    await bare.host.run("systemctl", "stop", DAEMON)
    await bare.host.run("systemctl", "enable", "--now", "bluegreen.socket")
    await bare.host.run("systemctl", "start", DAEMON)
    held = run_file(bare, "held/build")
    held.parent.mkdir()
    held.touch()
    deploying = asyncio.create_task(_bluegreen(bare, "deploy", APP, "v1"), name="deploy")

    async def is_building() -> bool:
        assert not deploying.done(), deploying.result()
        said = await bare.bluegreen("status", APP, "--json")
        return '"operation": {' in said.output and await is_in(bare, "build")

    await eventually(is_building, "it is built")
    drop_in = bare.path(f"/etc/systemd/system/{DAEMON}.d/crash-loop.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(CRASH_LOOP)
    await bare.host.run("systemctl", "daemon-reload")
    await bare.host.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", DAEMON)

    async def has_crashed_again() -> bool:
        return await bare.unit(DAEMON, "NRestarts") not in ("0", "1")

    await eventually(has_crashed_again, "it crash-loops")
    *said, applied = await asyncio.gather(
        _bluegreen(bare, "status"), _bluegreen(bare, "switch", "back", APP), deploying,
        _bluegreen(bare, "apply"),
    )  # fmt: skip
    for each in said:
        assert each.status == 3, each.output
        assert "the daemon does not answer: /run/bluegreen/control.sock" in each.output
        assert "Next: read what the daemon says: journalctl -u bluegreen -e" in each.output
    # apply, which may be what mends it, does its work.
    assert applied.status == 0, applied.output
    assert "the daemon does not answer" in applied.output
    # What was asked for meanwhile is not lost where the daemon comes back.
    drop_in.unlink()
    await bare.host.run("systemctl", "daemon-reload")
    await bare.host.run("systemctl", "restart", DAEMON)
    assert (await _bluegreen(bare, "status")).status == 0
