"""Scenarios of errors and what they quote, on a systemd host; run by ``systemd_scenarios``."""

from __future__ import annotations

import os
from dataclasses import replace

from bluegreen.config.secrets import of_secret_file
from tests.supervisors.systemd_workshop import Workshop, refusal


async def what_is_quoted_of_the_journal_has_no_secrets(shop: Workshop) -> None:
    unit = await shop.write("echo cannot log in with hunter2; exit 3\n", more="Type=notify")
    unit = replace(unit, env={**unit.env, "TOKEN": of_secret_file("hunter2")})
    supervisor = await shop.supervisor()
    error = await refusal(supervisor.start(unit))
    assert "log | cannot log in with ***" in error.detail, error.lines()
    assert "hunter2" not in "".join(error.lines())


async def what_a_stop_spares_is_an_error(shop: Workshop) -> None:
    unit = await shop.write(
        "sleep 1000 & echo $! >child; exec sleep 1000\n", more="KillMode=process"
    )
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    child = int(await shop.line(shop.work / "child"))
    error = await refusal(supervisor.stop(unit.key))
    assert f"processes {child} of" in error.message, error.message
    assert "KillMode" in error.remedy
    os.kill(child, 9)


SCENARIOS = (what_is_quoted_of_the_journal_has_no_secrets, what_a_stop_spares_is_an_error)
