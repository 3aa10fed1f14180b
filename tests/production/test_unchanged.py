"""What is to stay unchanged is asked as the app's user, whose data the daemon may not read."""

from __future__ import annotations

from tests.production.production import Production

UNCHANGED = """
[[gate.unchanged]]
sqlite = "data/servers.db"
query = "SELECT COUNT(*) FROM users"

[[gate.unchanged]]
name = "who"
command = "id -un"
"""
DELETES = """
[[gate.smoke]]
service = "api"
command = { run = "/opt/bluegreen/bin/python -c 'import sqlite3; c = sqlite3.connect(\\"data/servers.db\\"); c.execute(\\"DELETE FROM users\\"); c.commit()'" }
"""  # noqa: E501 - as one writes it


async def test_a_release_that_loses_rows_gets_no_traffic(bare: Production) -> None:
    await bare.set_up(services=("api",), extra=UNCHANGED)
    first = await bare.deploy("v1")
    assert "not compared: SELECT COUNT(*) FROM users of data/servers.db" in first.output
    second = await bare.deploy("v2")
    assert "SELECT COUNT(*) FROM users of data/servers.db: 1" in second.output
    assert "who: monitor" in second.output
    bare.write_app(services=("api",), extra=UNCHANGED + DELETES)
    await bare.bluegreen("apply")
    third = await bare.deploy("v1", check=False)
    assert "has changed: SELECT COUNT(*) FROM users of data/servers.db: 1 before, 0 now" in (
        third.output
    )
    assert await bare.served() == "v2"
