"""An app whose api answers one connection at a time, behind an nginx that keeps none open."""

from __future__ import annotations

from bluegreen.model import Slot
from tests.stack import Stack
from tests.visits import served_version

VISITS = 12


async def test_no_connection_is_kept_to_a_server_that_answers_one_at_a_time(empty: Stack) -> None:
    """One that nginx keeps holds up whoever comes by its other worker, or asks the api itself."""
    file = empty.write_app(services=("api",), watch="1s")
    file.write_text(file.read_text().replace("[services.api]", "[services.api]\nkeepalive = 0"))
    await empty.serve()
    await empty.deploy("v3-single-threaded")
    for _ in range(VISITS):
        assert await served_version(empty) == "v3-single-threaded"
    assert " healthy" in (await empty.cli("status")).out
    log = empty.layout.app("monitor").service_log(Slot.BLUE, "api").read_text()
    visitors = f"api: answers {empty.url().removeprefix('http://')}, connection "
    lines = [line.removeprefix(visitors) for line in log.splitlines() if visitors in line]
    # The gate has come through nginx, too, and perhaps once more before it was content.
    assert set(lines) == {"closed"}
    assert len(lines) > VISITS
