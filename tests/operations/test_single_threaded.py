"""An app whose api answers one connection at a time, behind an nginx that keeps none open."""

from __future__ import annotations

import time

from tests.stack import Stack
from tests.visits import served_version

VISITS = 12
# A connection that nginx keeps holds up, for a second, whoever comes by its other worker or asks
# the api itself: that would be half of the visits.
LIMIT = 3.0  # seconds


async def test_without_kept_connections_visitors_do_not_wait_for_each_other(empty: Stack) -> None:
    file = empty.write_app(services=("api",), watch="1s")
    file.write_text(file.read_text().replace("[services.api]", "[services.api]\nkeepalive = 0"))
    await empty.serve()
    await empty.deploy("v3-single-threaded")
    began = time.monotonic()
    for _ in range(VISITS):
        assert await served_version(empty) == "v3-single-threaded"
    assert time.monotonic() - began < LIMIT
    assert " healthy" in (await empty.cli("status")).out
