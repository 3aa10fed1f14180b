"""A root that is served is not served by a second daemon."""

from __future__ import annotations

from tests.stack import Stack


async def test_a_second_daemon_leaves_the_first_alone_though_its_files_were_removed(
    empty: Stack,
) -> None:
    await empty.serve()
    assert empty.daemon is not None
    for path in empty.layout.run.glob("daemon.*"):
        path.unlink()
    answer = await empty.cli("serve")
    assert answer.status == 1
    assert f"a daemon already serves {empty.root} (pid {empty.daemon.pid})" in answer.err
    assert (await empty.cli("status")).status == 0
