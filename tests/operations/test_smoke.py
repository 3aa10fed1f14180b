"""Releases that have to pass the sample app's scenario: a login, and calls with its token."""

from __future__ import annotations

import re

from tests.stack import Stack
from tests.visits import served_version

FAILING = """
[[gate.smoke]]
name = "wrong"
service = "api"
http = { path = "/api/login", method = "POST", send_json = { user = "admin", password = "{slot}" } }
"""


async def test_a_release_passes_its_scenario_and_no_token_is_kept(empty: Stack) -> None:
    empty.write_app(smoke=True)
    await empty.serve()
    answer = await empty.cli("deploy", "monitor", "v1")
    assert answer.status == 0, answer.err
    passed = re.findall(r"  (\w+) smoke (\w+) passes: (.*)", answer.out)
    assert [(service, step) for service, step, _ in passed] == [
        ("web", "page"), ("api", "login"), ("web", "dashboard"), ("web", "console"),
        ("api", "servers"), ("stream", "metrics"), ("terminal", "terminal"),
    ]  # fmt: skip
    assert '"token": "***"' in passed[1][2]


async def test_a_release_that_fails_its_scenario_gets_no_traffic(empty: Stack) -> None:
    empty.write_app()
    await empty.serve()
    await empty.deploy("v1")
    empty.write_app(smoke=True, extra=FAILING)
    await empty.reload()
    answer = await empty.cli("deploy", "monitor", "v2")
    assert answer.status == 1
    assert "step 8 of 8 of the smoke scenario failed: api smoke wrong: HTTP 401" in answer.err
    assert "wrong user or password" in answer.err
    assert "Next: Nothing was switched." in answer.err
    assert await served_version(empty) == "v1"
    # What has served before is brought back without it.
    await empty.cli("stop", "monitor")
    assert (await empty.cli("start", "monitor")).status == 0
