"""Scenarios of errors and what they quote, on a systemd host; run by ``systemd_scenarios``."""

from __future__ import annotations

import os
from dataclasses import replace

from bluegreen.config.secrets import of_secret_file
from bluegreen.supervisors.unit_names import service_unit
from tests.supervisors.systemd_workshop import Workshop, refusal
from tests.waiting import eventually

RUN_ON = "exec sleep 1000\n"


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


async def a_secret_that_is_missing_is_named(shop: Workshop) -> None:
    there = shop.work / "launcher.py"
    secrets = f"LoadCredential=app.KEY:{there}\nLoadCredential=services.api.TOKEN:/nowhere/token"
    conditions = "\n".join(
        f"ConditionPathExists=|{path}" for path in ("/", there, "/nowhere/token")
    )
    unit = await shop.write(RUN_ON, unit=conditions, more=secrets)
    supervisor = await shop.supervisor()
    error = await refusal(supervisor.start(unit))
    assert error.message == (
        f"{service_unit(unit.key)} did not start: a secret cannot be given to it (243/CREDENTIALS)"
        ": services.api.env.TOKEN (/nowhere/token is not there)"
    ), error.lines()
    assert error.remedy.startswith("put the secret into /nowhere/token, for root alone")
    last_exit = supervisor.status(unit.key).last_exit
    assert last_exit == "a secret cannot be given to it (243/CREDENTIALS)", last_exit
    # One that is there, and that systemd cannot hand over: all of them are named.
    large = shop.work / "too-large"
    large.write_bytes(bytes(2**20 + 1))
    await shop.write(RUN_ON, more=secrets.replace("/nowhere/token", str(large)))
    error = await refusal(supervisor.start(unit))
    assert f"services.api.env.TOKEN is {large}" in error.detail, error.lines()
    assert "sudo bluegreen check" in error.remedy
    await supervisor.stop(unit.key)


async def a_status_of_the_programs_own_is_not_taken_for_systemds(shop: Workshop) -> None:
    unit = await shop.write("until [ -e go ]; do sleep 0.02; done; exit 217\n")
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    (shop.work / "go").touch()
    await eventually(
        lambda: supervisor.status(unit.key).last_exit == "exit status 217", "it has ended"
    )


SCENARIOS = (
    a_secret_that_is_missing_is_named,
    a_status_of_the_programs_own_is_not_taken_for_systemds,
    what_is_quoted_of_the_journal_has_no_secrets,
    what_a_stop_spares_is_an_error,
)
