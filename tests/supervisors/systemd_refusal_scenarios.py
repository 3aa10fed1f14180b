"""Scenarios of what a refusal quotes, on a systemd host; run by ``systemd_scenarios``."""

from __future__ import annotations

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


SCENARIOS = (what_is_quoted_of_the_journal_has_no_secrets,)
