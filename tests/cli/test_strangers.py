"""`bluegreen check` finds a port that a stranger holds, and takes none of ours for one."""

from __future__ import annotations

import socket

from tests.stack import stack


async def test_a_port_that_a_stranger_holds_is_told_and_none_of_ours() -> None:
    async with stack() as built:
        file = built.write_app(services=("api",), watch="0s")
        _, green = built.ports["monitor"]
        for port in (built.listen["monitor"], green):
            with socket.create_server(("127.0.0.1", port)):
                answer = await built.cli("check", str(file))
            assert answer.status == 0
            assert f"warning: {file}: 127.0.0.1:{port} is held by python" in answer.out
            assert "all is well" not in answer.out
        await built.serve()
        await built.deploy("v1")
        answer = await built.cli("check")
        assert answer.out == "1 file checked: all is well\n"
        await built.kill()  # what it has started goes on
        with socket.create_server(("127.0.0.1", green)):
            answer = await built.cli("check", "--json")
        (warning,) = answer.document["warnings"]
        assert f":{green} is held by" in warning
