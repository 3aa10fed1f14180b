"""Where the API listens, and that nothing which comes in there holds up the control socket."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from bluegreen.api.listening import _bind
from tests.api.door import Door, open_door, raw
from tests.api.front import certificate, nginx_in_front
from tests.ports import kernel_ports
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

APP = "/v1/apps/monitor"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door() -> AsyncIterator[Door]:
    async with open_door() as built:
        yield built


@contextlib.asynccontextmanager
async def configured(door: Door, text: str) -> AsyncIterator[None]:
    """Taken up by a reload, and as usual afterwards."""
    door.configure(text)
    try:
        status, document = await door.reload()
        assert status == 200, document
        yield
    finally:
        door.configure(door.usual())
        assert (await door.reload())[0] == 200


async def test_a_deploy_and_a_switch_back_work_while_the_door_is_stormed(door: Door) -> None:
    """Idle connections, heads and bodies that never end, and heads of 10 MB."""
    token = await door.token("switch")
    body = (
        f"POST {APP}/switch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 10\r\n\r\n{"
    ).encode()
    opened = [await raw(door.port, b"") for _ in range(1000)]
    opened += [await raw(door.port, b"GET /v1/apps HTTP/1.1\r\nX-Slow: ") for _ in range(30)]
    opened += [await raw(door.port, body) for _ in range(30)]
    flood = [await raw(door.port, b"GET / HTTP/1.1\r\n") for _ in range(3)]

    async def pour(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for _ in range(160):
                writer.write(b"X-Large: " + b"x" * 65536 + b"\r\n")
                await writer.drain()

    pouring = [asyncio.create_task(pour(writer)) for _, writer in flood]
    deployed = await door.stack.cli("deploy", "monitor", "v2")
    assert deployed.status == 0, deployed.err
    for _ in range(3):
        active = door.stack.marker()
        answer = await door.stack.cli("switch", "back", "monitor")
        assert answer.status == 0, answer.err
        assert door.stack.marker() != active
    await asyncio.gather(*pouring)
    for reader, _ in flood:
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(20):
                assert not (await reader.read()).startswith(b"HTTP/1.1 2")
    for _, writer in (*opened, *flood):
        writer.close()

    async def lets_in() -> bool:
        with contextlib.suppress(aiohttp.ClientError, AssertionError):
            return (await door.ask("GET", "/healthz", None))[0] == 200
        return False

    await eventually(lets_in, "there is room again")
    assert "turned away" not in door.stack.daemon_log.read_text()  # a proxy limits its own guests


async def test_a_body_that_is_too_large_or_does_not_come_is_refused(door: Door) -> None:
    token = await door.token("deploy")
    path = f"{APP}/deployments"
    status, document = await door.ask("POST", path, token, {"version": "x" * 100_000})
    assert status == 400
    assert "too large" in document["detail"]
    status, _ = await door.ask("POST", path, None, {"version": "x" * 100_000})
    assert status == 401
    status, document = await door.ask("GET", f"/v1/apps/{'a' * 5000}", token)
    assert status == 414
    many = {f"X-{number}": "x" for number in range(100)}
    async with door.tcp.get("/healthz", headers=many) as response:
        assert response.status == 400


async def told_in_the_clear(port: int) -> bytes:
    reader, writer = await raw(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def greet_in_tls_1_1(port: int) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.deprecated_call():
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        old.wrap_socket(connection).close()


async def test_tls_is_taken_up_by_a_reload_and_so_is_a_newer_certificate(
    door: Door, tmp_path: Path
) -> None:
    token = await door.token("read")
    first, second = await certificate(tmp_path, "first"), await certificate(tmp_path, "second")
    served, key = tmp_path / "served.pem", tmp_path / "served.key"

    async def status_of(trusted: Path) -> int:
        context = ssl.create_default_context(cafile=str(trusted))
        url = f"https://127.0.0.1:{door.port}{APP}"
        headers = {"Authorization": f"Bearer {token}"}
        connector = aiohttp.TCPConnector(ssl=context)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(url, headers=headers) as response,
        ):
            return response.status

    def serve(pair: tuple[Path, Path]) -> None:
        served.write_bytes(pair[0].read_bytes())
        key.write_bytes(pair[1].read_bytes())

    serve(first)
    tls = f'{door.usual()}\ntls = {{ certificate = "{served}", key = "{key}" }}'
    async with configured(door, tls):
        assert await status_of(first[0]) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await status_of(second[0])
        assert await told_in_the_clear(door.port) == b""
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(greet_in_tls_1_1, door.port)
        serve(second)
        assert (await door.reload())[0] == 200
        assert await status_of(second[0]) == 200
        # What cannot be used is refused, and what serves goes on.
        for change in (
            lambda: key.write_bytes(first[1].read_bytes()),  # the key of another certificate
            lambda: served.write_text("no certificate"),
            served.unlink,
        ):
            change()
            status, document = await door.reload()
            assert status == 409, document
            at = f"{door.stack.layout.daemon_file}:4: api.tls"
            assert document["detail"].startswith(at), document["detail"]
            assert "reload" in document["remedy"]
            assert await status_of(second[0]) == 200
    async with door.tcp.get("/healthz") as response:
        assert response.status == 200


async def test_a_new_address_is_taken_up_and_the_old_one_is_let_go(door: Door) -> None:
    [port] = kernel_ports(1)
    async with configured(door, f'listen = "127.0.0.1:{port}"'):
        for asked, answers in ((port, True), (door.port, False)):
            with socket.socket() as connection:
                assert (connection.connect_ex(("127.0.0.1", asked)) == 0) is answers
    async with configured(door, ""):
        with socket.socket() as connection:
            assert connection.connect_ex(("127.0.0.1", door.port)) != 0
    with socket.create_server(("127.0.0.1", port)):
        door.configure(f'listen = "127.0.0.1:{port}"')
        status, document = await door.reload()
        assert status == 409
        assert f"{door.stack.layout.daemon_file}:2: api.listen: " in document["detail"]
        assert (await door.ask("GET", "/healthz", None))[0] == 200  # as it was
    door.configure(door.usual())
    assert (await door.reload())[0] == 200


async def test_an_address_that_there_is_no_socket_for_cannot_be_had_yet() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            _bind((ipaddress.ip_address("127.0.0.1"), 8765))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_file_that_makes_no_sense_changes_nothing(door: Door) -> None:
    for text, key in [
        ('listen = "0.0.0.0:8765"', "api.listen"),
        ('listen = "localhost:8765"', "api.listen"),
        ("listen = 8765", "api.listen"),
        ('tls = { certificate = "/x" }', "api.tls.key"),
        ('tls = { certificate = "x", key = "/x" }', "api.tls.certificate"),
        ('trusted_proxies = "127.0.0.1"', "api.trusted_proxies"),
        ('trusted_proxies = ["127.0.0.1/8"]', "api.trusted_proxies[0]"),
        ('group = "no such group"', "api.group"),
        ('roles = { ops = "root" }', "api.roles.ops"),
        ('plain = "yes"', "api.plain"),
        ("port = 8765", "api.port"),
    ]:
        door.configure(text)
        status, document = await door.reload()
        assert status == 422
        [problem] = document["evidence"]
        assert f"bluegreen.toml:2: {key}: " in problem, problem
    door.configure(door.usual())
    assert (await door.reload())[0] == 200
    assert (await door.ask("GET", "/healthz", None))[0] == 200


async def test_a_reload_by_a_signal_is_recorded_too(door: Door) -> None:
    before = len(door.events("audit"))
    door.stack.signal(signal.SIGHUP)
    await eventually(lambda: len(door.events("audit")) > before, "it is recorded")
    assert door.events("audit")[-1] == {
        "app": "", "asked": "SIGHUP", "by": "root or the daemon's user", "via": "signal",
    }  # fmt: skip


async def test_the_other_hosts_are_reached_in_the_clear_by_the_operators_word_only(
    door: Door,
) -> None:
    async with configured(door, f'listen = "0.0.0.0:{door.port}"\nplain = true'):
        assert (await door.ask("GET", "/healthz", None))[0] == 200


@pytest.fixture
async def in_front(door: Door, tmp_path: Path) -> AsyncIterator[str]:
    async with nginx_in_front(door, tmp_path) as url:
        yield url


async def test_behind_nginx_the_address_is_that_of_whoever_asks(door: Door, in_front: str) -> None:
    token = await door.token("admin")
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "198.51.100.66"}
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(in_front, connector=connector, headers=headers) as client:
        async with client.post(f"{APP}/lock", json={"reason": "by nginx"}) as response:
            assert response.status == 200
        async with client.post(f"{APP}/unlock") as response:
            assert response.status == 200
        assert door.events("audit")[-1]["via"] == "tcp from 127.0.0.1"  # nginx's word
        async with client.get("/healthz") as response:
            assert response.status == 200
        for path in ("/none", "/metrics", "/v1x", "/healthz/x", "/eventsx"):
            async with client.get(path) as response:
                assert response.status == 404
                assert response.headers["Server"].startswith("nginx")
        async with client.post(f"{APP}/lock", data=b"x" * 100_000) as response:
            assert response.status == 413
        async with client.post("/hooks/monitor", data=b"{}") as response:
            assert response.status in (401, 404)  # the daemon's: nothing is signed
            assert response.content_type == "application/problem+json"
        number = (await door.stack.operations())[0]["id"]
        async with client.get(f"/v1/operations/{number}/events") as response:
            assert response.content_type == "text/event-stream"
            assert b"event: end" in await response.read()
        async with client.get("/v1/operations") as response:
            assert (await response.json())["operations"]
        statuses = set()
        for _ in range(30):
            answers = [client.get("/healthz") for _ in range(20)]
            for answer in await asyncio.gather(*answers):
                statuses.add(answer.status)
                answer.release()
            if 429 in statuses:
                break
        assert statuses == {200, 429}


async def test_a_daemon_that_cannot_have_its_address_serves_the_rest_and_says_so(
    door: Door,
) -> None:
    await door.stack.terminate()
    with socket.create_server(("127.0.0.1", door.port)):
        await door.stack.serve()
        status = (await door.stack.cli("status", "--json")).document
        [warning] = [w for w in status["warnings"] if "api.listen" in w]
        assert "cannot be listened on: Address already in use" in warning
        assert (await door.reload())[0] == 200  # which is no reason to refuse anything else
    assert (await door.reload())[0] == 200

    async def listens() -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            return (await door.ask("GET", "/healthz", None))[0] == 200
        return False

    await eventually(listens, "the address is had")
    status = (await door.stack.cli("status", "--json")).document
    assert not [w for w in status["warnings"] if "api.listen" in w]
    token = await door.token("read")  # made before: it outlasts the daemon
    assert (await door.ask("GET", APP, token))[0] == 200
