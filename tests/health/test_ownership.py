from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bluegreen.config.questions import HttpProbe, Probe
from bluegreen.health import sock_diag
from bluegreen.health.attempt import probe_once
from bluegreen.health.listener import Listener
from bluegreen.health.ownership import examine, listening
from bluegreen.health.sockets import holder, tcp_listeners, tcp_listeners_by_proc
from bluegreen.model import Address
from tests.health.conftest import StartStranger
from tests.health.slot import FakeSlot

FreePorts = Callable[[int], list[int]]
HTTP = Probe(service="api", http=HttpProbe(path="/health"))


def server(port: int, host: str = "127.0.0.1", *, reuse: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, reuse_port=reuse)


async def problem(slot: FakeSlot, address: Address) -> str | None:
    return (await examine(slot, slot.keys("api")[0], address)).problem


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_a_listener_of_the_services_process_is_its_own(
    slot: FakeSlot, free_ports: FreePorts, host: str
) -> None:
    (port,) = free_ports(1)
    with server(port, host):
        assert await problem(slot, Address(port=port)) is None


@pytest.mark.parametrize("host", ["::", "::ffff:127.0.0.1"])
async def test_an_ipv6_listener_that_takes_ipv4_is_its_own(
    slot: FakeSlot, free_ports: FreePorts, host: str
) -> None:
    (port,) = free_ports(1)
    with socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True):
        assert await problem(slot, Address(port=port)) is None


async def test_a_stranger_who_answers_healthily_does_not_pass(
    slot: FakeSlot, free_ports: FreePorts, start_stranger: StartStranger
) -> None:
    (port,) = free_ports(1)
    slot.addresses["api"] = Address(port=port)
    pid = await start_stranger(port)
    result = await probe_once(slot.target, HTTP)
    assert not result.passed
    assert result.answer.startswith(f"127.0.0.1:{port} belongs to pid {pid} (python")
    assert result.answer.endswith("which is no process of api")


async def test_the_same_answer_passes_when_the_process_is_the_services(
    slot: FakeSlot, free_ports: FreePorts, start_stranger: StartStranger
) -> None:
    (port,) = free_ports(1)
    slot.addresses["api"] = Address(port=port)
    slot.pids["api"] = frozenset({await start_stranger(port)})
    result = await probe_once(slot.target, HTTP)
    assert (result.passed, result.answer) == (True, '200 {"status":"ok"}')


async def test_a_stranger_beside_the_service_on_one_port_does_not_pass(
    slot: FakeSlot, free_ports: FreePorts, start_stranger: StartStranger
) -> None:
    (port,) = free_ports(1)
    with server(port, reuse=True):
        pid = await start_stranger(port, reuse=True)
        found = await problem(slot, Address(port=port))
    assert found is not None
    assert found.startswith(f"pid {pid} (")
    assert found.endswith(f"which is no process of api, listens on 127.0.0.1:{port} as well")


async def test_a_stranger_on_all_addresses_beside_the_service_on_one_does_not_pass(
    slot: FakeSlot, free_ports: FreePorts, start_stranger: StartStranger
) -> None:
    (port,) = free_ports(1)
    pid = await start_stranger(port, host="0.0.0.0", reuse=True)
    with server(port, reuse=True):
        found = await problem(slot, Address(port=port))
    assert found is not None
    assert f"pid {pid}" in found


async def test_two_processes_of_the_service_may_share_a_port(
    slot: FakeSlot, free_ports: FreePorts, start_stranger: StartStranger
) -> None:
    (port,) = free_ports(1)
    worker = await start_stranger(port, reuse=True)
    slot.pids["api"] = frozenset({os.getpid(), worker})
    with server(port, reuse=True):
        assert await problem(slot, Address(port=port)) is None


async def test_of_services_in_control_groups_the_group_is_asked(
    slot: FakeSlot, free_ports: FreePorts, start_stranger: StartStranger, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    stranger = await start_stranger(port)
    (group,) = {each.control_group for each in tcp_listeners() if each.port == port}
    if group is None:
        pytest.skip("this kernel does not tell the control group of a socket (5.8 does)")
    slot.groups["api"] = frozenset({group})
    assert await problem(slot, Address(port=port)) is None
    slot.pids["api"] = frozenset({stranger})
    slot.groups["api"] = frozenset({group + 1})
    found = await examine(slot, slot.keys("api")[0], Address(port=port))
    assert found.stranger
    assert f"127.0.0.1:{port} belongs to" in str(found.problem)


async def test_of_a_unix_socket_in_a_control_group_the_process_is_asked(
    slot: FakeSlot, tmp_path: Path
) -> None:
    slot.groups["api"] = frozenset({2**40})
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert await problem(slot, Address(socket=path)) is None
        slot.pids["api"] = frozenset({1})
        assert (await examine(slot, slot.keys("api")[0], Address(socket=path))).stranger


async def test_a_worker_forked_in_between_is_no_stranger(
    slot: FakeSlot,
    free_ports: FreePorts,
    start_stranger: StartStranger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (port,) = free_ports(1)
    worker = await start_stranger(port)
    answers = [frozenset({os.getpid()}), frozenset({os.getpid(), worker})]

    async def processes(_: str) -> frozenset[int]:
        return answers.pop(0)

    monkeypatch.setattr(slot, "processes", processes)
    assert await problem(slot, Address(port=port)) is None


async def test_a_service_on_another_port_is_told_how_to_be_settable(
    slot: FakeSlot, free_ports: FreePorts, start_stranger: StartStranger
) -> None:
    fixed, port = free_ports(2)
    slot.pids["api"] = frozenset({await start_stranger(fixed)})
    assert await problem(slot, Address(port=port)) == (
        f"api listens on {fixed}, not on {port}: its port must be settable (use {{port}} in its "
        "command or env); where it is not, a network namespace or a wrapper command is the way"
    )


async def test_a_service_on_the_wrong_host_is_told_so(
    slot: FakeSlot, free_ports: FreePorts, start_stranger: StartStranger
) -> None:
    (port,) = free_ports(1)
    slot.pids["api"] = frozenset({await start_stranger(port, host="127.0.0.2")})
    found = await problem(slot, Address(port=port))
    assert found == f"api listens on 127.0.0.2:{port} only, not on 127.0.0.1:{port}"


async def test_a_service_with_a_port_in_place_of_a_socket_is_told_so(
    slot: FakeSlot, free_ports: FreePorts, start_stranger: StartStranger
) -> None:
    (port,) = free_ports(1)
    slot.pids["api"] = frozenset({await start_stranger(port)})
    found = await problem(slot, Address(socket=slot.root / "api.sock"))
    assert found is not None
    assert found.startswith(
        f"api listens on {port}, not on unix:{slot.root}/api.sock: use {{socket}}"
    )


async def test_a_unix_socket_of_a_stranger_does_not_pass(
    slot: FakeSlot, start_stranger: StartStranger
) -> None:
    path = slot.root / "api.sock"
    pid = await start_stranger(path)
    found = await problem(slot, Address(socket=path))
    assert found is not None
    assert found.startswith(f"unix:{path} belongs to pid {pid} (")


async def test_of_two_sockets_bound_to_one_path_the_last_counts(
    slot: FakeSlot, start_stranger: StartStranger
) -> None:
    path = slot.root / "api.sock"
    pid = await start_stranger(path)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(path))
        own.listen()
        assert await problem(slot, Address(socket=path)) is None
        slot.pids["api"] = frozenset({pid})
        found = await problem(slot, Address(socket=path))
    assert found is not None
    assert found.startswith(f"unix:{path} belongs to pid {os.getpid()} (")


async def test_a_socket_bound_to_a_relative_path_is_found(
    slot: FakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(slot.root)
    with socket.socket(socket.AF_UNIX) as own:
        own.bind("api.sock")
        own.listen()
        assert await problem(slot, Address(socket=slot.root / "api.sock")) is None


async def test_a_socket_file_that_nobody_listens_at_is_free(slot: FakeSlot) -> None:
    address = Address(socket=slot.root / "api.sock")
    assert not await listening(address)
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(address.socket))
        own.listen()
        assert await listening(address)
    assert address.socket is not None
    assert address.socket.exists()
    assert not await listening(address)
    assert await problem(slot, address) == "connection refused"


async def test_a_port_is_listening_while_a_socket_on_it_is(free_ports: FreePorts) -> None:
    (port,) = free_ports(1)
    assert not await listening(Address(port=port))
    with server(port):
        assert await listening(Address(port=port))


def test_a_holder_that_may_not_be_looked_into_is_another_users(
    free_ports: FreePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(pid: int) -> frozenset[int]:
        raise PermissionError(13, "Permission denied", f"/proc/{pid}/fd")

    monkeypatch.setattr("bluegreen.health.sockets.sockets_of", hidden)
    (port,) = free_ports(1)
    with server(port):
        listeners = [listener for listener in tcp_listeners() if listener.port == port]
        assert holder(listeners) == "another user's process"


async def test_processes_that_may_not_be_looked_into_are_said_to_be(
    slot: FakeSlot, free_ports: FreePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(pid: int) -> frozenset[int]:
        raise PermissionError(13, "Permission denied", f"/proc/{pid}/fd")

    monkeypatch.setattr("bluegreen.health.ownership.sockets_of", hidden)
    (port,) = free_ports(1)
    with server(port):
        found = await problem(slot, Address(port=port))
    assert found == (
        f"cannot tell whose socket 127.0.0.1:{port} is: /proc/{os.getpid()}/fd may not be read"
    )


async def test_a_process_that_has_ended_holds_nothing(
    slot: FakeSlot, free_ports: FreePorts
) -> None:
    ended = await asyncio.create_subprocess_exec("true")
    await ended.wait()
    slot.pids["api"] = frozenset({ended.pid})
    assert await problem(slot, Address(port=free_ports(1)[0])) == "connection refused"


@pytest.mark.parametrize("read", [sock_diag.listeners, tcp_listeners_by_proc])
def test_established_connections_are_no_listeners(
    free_ports: FreePorts, read: Callable[[], list[Listener]]
) -> None:
    (port,) = free_ports(1)
    with server(port) as listener, socket.create_connection(("127.0.0.1", port)):
        found = [each for each in read() if each.port == port]
        assert [str(each) for each in found] == [f"127.0.0.1:{port}"]
        assert found[0].inode == os.fstat(listener.fileno()).st_ino


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "0.0.0.0", "::", "::1"])
def test_netlink_and_proc_tell_the_same(free_ports: FreePorts, host: str) -> None:
    (port,) = free_ports(1)
    with server(port, host):
        by_netlink = [each for each in sock_diag.listeners() if each.port == port]
        by_proc = [each for each in tcp_listeners_by_proc() if each.port == port]
    assert len(by_netlink) == 1
    assert [(str(each), each.inode) for each in by_netlink] == [
        (str(each), each.inode) for each in by_proc
    ]


def test_a_listener_for_ipv6_only_does_not_answer_ipv4(free_ports: FreePorts) -> None:
    for dual in (False, True):
        (port,) = free_ports(1)
        address = ("::", port)
        with socket.create_server(address, family=socket.AF_INET6, dualstack_ipv6=dual):
            (found,) = [each for each in sock_diag.listeners() if each.port == port]
            assert found.answers_loopback is dual


async def test_where_netlink_is_not_offered_proc_is_read(
    slot: FakeSlot, free_ports: FreePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sock_diag, "NETLINK_SOCK_DIAG", 31)
    with pytest.raises(OSError, match="Protocol not supported"):
        sock_diag.listeners()
    (port,) = free_ports(1)
    with server(port):
        assert await problem(slot, Address(port=port)) is None
        # Other tests, at the same time, listen on ports of their own.
        asked, read = (
            [one for one in listeners if one.port == port]
            for listeners in (tcp_listeners(), tcp_listeners_by_proc())
        )
        assert len(asked) == 1
        assert asked == read


def test_a_refusal_by_the_kernel_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "SOCK_DIAG_BY_FAMILY", 99)
    with pytest.raises(OSError, match=r"\[Errno"):
        sock_diag.listeners()
