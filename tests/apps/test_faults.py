"""Each broken version of the sample app misbehaves in exactly the way its name says."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from bluegreen.demo.versions import write_version
from tests.apps import stranger
from tests.apps.services import answers, build, built_tree, listening, started
from tests.waiting import PATIENCE, eventually

FreePorts = Callable[[int], list[int]]


@pytest.fixture
def port(free_ports: FreePorts) -> int:
    return free_ports(1)[0]


@pytest_asyncio.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize(
    ("service", "path"), [("web", "/health"), ("api", "/api/health"), ("stream", "/health")]
)
async def test_unhealthy_never_gets_healthy(
    service: str, path: str, tmp_path: Path, port: int, client: aiohttp.ClientSession
) -> None:
    tree = built_tree("v3-unhealthy", tmp_path)
    async with listening(tree, service, port) as running, client.get(running.url(path)) as response:
        assert response.status == 503
        assert (await response.json())["version"] == "v3-unhealthy"


async def test_build_fails_ends_with_a_telling_last_line(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        built_tree("v3-build-fails", tmp_path)
    done = build(tmp_path, api_port=9083, cache=tmp_path / "cache")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith("error: unexpected token '}'")
    assert not (tmp_path / "dist").exists()


def test_build_fails_late_says_much_before_it_says_why(tmp_path: Path) -> None:
    write_version("v3-build-fails-late", tmp_path)
    cache = tmp_path / "cache"
    done = build(tmp_path, api_port=9083, cache=cache, MONITOR_BUILD_SECONDS="0.1")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) > 1000
    assert "lock file is out of step" in done.stdout.splitlines()[-1]


def test_hungry_build_ends_where_it_is_not_given_the_memory(tmp_path: Path) -> None:
    write_version("v3-hungry-build", tmp_path)
    limited = ["prlimit", f"--as={512 * 2**20}"]
    done = build(tmp_path, api_port=9083, cache=tmp_path / "cache", prefix=limited)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "MemoryError"
    assert not (tmp_path / "dist").exists()


async def test_single_threaded_keeps_all_waiting_for_one_idle_connection(
    tmp_path: Path, port: int
) -> None:
    async with listening(built_tree("v3-single-threaded", tmp_path), "api", port) as api:
        _, idle = await asyncio.open_connection("127.0.0.1", port)
        idle.write(b"GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n")
        reader, other = await asyncio.open_connection("127.0.0.1", port)
        other.write(b"GET /api/health HTTP/1.0\r\nHost: a\r\n\r\n")
        answer = asyncio.create_task(reader.readline())
        assert not (await asyncio.wait([answer], timeout=0.5))[0], "the other one waits"
        idle.close()
        assert b"200" in await asyncio.wait_for(answer, PATIENCE)
        other.close()
        assert api.process.returncode is None


async def test_rate_limited_answers_429_after_so_many_calls(
    tmp_path: Path, port: int, client: aiohttp.ClientSession
) -> None:
    tree = built_tree("v3-rate-limited", tmp_path)
    async with started(tree, "api", port, MONITOR_RATE_LIMIT="3") as api:
        await api.said("listens on")
        statuses = []
        for _ in range(5):
            async with client.get(api.url("/api/health")) as response:
                statuses.append(response.status)
        assert statuses == [200, 200, 200, 429, 429]


async def test_crashes_is_healthy_first_and_exits_later(tmp_path: Path, port: int) -> None:
    tree = built_tree("v3-crashes", tmp_path)
    async with listening(tree, "api", port, MONITOR_CRASH_AFTER="3") as api:
        assert await api.ended() == 1
        assert api.log().splitlines()[-1].endswith("the alert loop met a server without an address")


async def test_crashes_is_of_the_service_that_is_named(
    tmp_path: Path, free_ports: FreePorts
) -> None:
    tree = built_tree("v3-crashes", tmp_path)
    named = {"MONITOR_CRASH_AFTER": "1", "MONITOR_CRASH_SERVICE": "stream"}
    first, second = free_ports(2)
    async with (
        listening(tree, "api", first, **named) as api,
        started(tree, "stream", second, **named) as stream,
    ):
        assert await stream.ended() == 1
        assert await answers(api.url("/api/health"))


async def test_error_page_answers_200_with_html(
    tmp_path: Path, port: int, client: aiohttp.ClientSession
) -> None:
    tree = built_tree("v3-error-page", tmp_path)
    async with (
        listening(tree, "api", port) as api,
        client.get(api.url("/api/health")) as response,
    ):
        assert response.status == 200
        assert response.content_type == "text/html"
        assert "Something went wrong" in await response.text()


async def test_ignores_sigterm_serves_on_after_it(tmp_path: Path, port: int) -> None:
    tree = built_tree("v3-ignores-sigterm", tmp_path)
    async with listening(tree, "api", port) as api:
        api.process.send_signal(signal.SIGTERM)
        await api.said("ignores SIGTERM")
        assert await answers(api.url("/api/health"))
        assert api.process.returncode is None


async def test_port_held_runs_on_beside_a_stranger_that_answers_healthily(
    tmp_path: Path, port: int, client: aiohttp.ClientSession
) -> None:
    tree = built_tree("v3-port-held", tmp_path)
    imposter = await asyncio.create_subprocess_exec(
        sys.executable, stranger.__file__, str(port), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert imposter.stdout is not None
        line = await asyncio.wait_for(imposter.stdout.readline(), PATIENCE)
        assert line == f"listens on 127.0.0.1:{port}\n".encode()
        async with started(tree, "api", port, slot="green") as api:
            await api.said("is in use, going on without it")
            async with client.get(api.url("/api/health")) as response:
                health = await response.json()
            assert (health["status"], health["version"]) == ("healthy", "v3-port-held")
            assert health["service"] == "stranger"
            assert api.process.returncode is None
            api.process.send_signal(signal.SIGTERM)
            assert await api.ended() == 0
    finally:
        imposter.kill()
        await imposter.communicate()


async def test_port_held_is_a_good_version_where_no_stranger_is(tmp_path: Path, port: int) -> None:
    async with listening(built_tree("v3-port-held", tmp_path), "api", port) as api:
        await api.said(f"listens on 127.0.0.1:{port}")


async def test_own_port_redirects_to_the_port_of_the_process(
    tmp_path: Path, port: int, client: aiohttp.ClientSession
) -> None:
    tree = built_tree("v3-own-port", tmp_path)
    async with listening(tree, "web", port) as web:
        async with client.get(web.url("/login"), allow_redirects=False) as response:
            assert response.status == 302
            assert response.headers["Location"] == f"http://localhost:{port}/sign-in"
        async with client.get(web.url("/sign-in")) as response:
            assert "Log in" in await response.text()


async def test_ws_closes_completes_the_handshake_and_closes_with_1011(
    tmp_path: Path, port: int, client: aiohttp.ClientSession
) -> None:
    tree = built_tree("v3-ws-closes", tmp_path)
    async with listening(tree, "stream", port) as stream:
        async with client.get(stream.url("/health")) as response:
            assert response.status == 200
        async with client.ws_connect(stream.url("/ws/monitoring")) as socket:
            message = await socket.receive(timeout=PATIENCE)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1011)


async def test_hard_coded_port_ignores_the_port_it_is_given(
    tmp_path: Path, free_ports: FreePorts
) -> None:
    given, hard = free_ports(2)
    tree = built_tree("v3-hard-coded-port", tmp_path)
    async with started(tree, "api", given, MONITOR_HARD_PORT=str(hard)) as api:
        await eventually(
            lambda: answers(f"http://127.0.0.1:{hard}/api/health"),
            "something answers on the hard port",
        )
        assert not await answers(api.url("/api/health"))


async def test_slow_stop_serves_for_a_while_after_sigterm_and_ends_by_itself(
    tmp_path: Path, port: int
) -> None:
    async with listening(built_tree("v3-slow-stop", tmp_path), "api", port) as api:
        api.process.send_signal(signal.SIGTERM)
        await api.said("is told to end")
        assert await answers(api.url("/api/health"))
        assert await api.ended() == 0


async def test_rewrites_title_shows_another_name_in_proc(tmp_path: Path, port: int) -> None:
    async with listening(built_tree("v3-rewrites-title", tmp_path), "api", port) as api:
        stat = await asyncio.to_thread(Path(f"/proc/{api.process.pid}/stat").read_text)
        assert stat.startswith(f"{api.process.pid} (api) Z 1 (fake) ")


async def test_two_at_once_are_noticed_where_it_has_to_be_alone(
    tmp_path: Path, free_ports: FreePorts
) -> None:
    tree, alone = built_tree("v1", tmp_path), {"MONITOR_ALONE": "1"}
    first, second = free_ports(2)
    async with listening(tree, "api", first, **alone):
        assert not (tree / "data/overlaps").exists()
    async with listening(tree, "api", first, **alone):
        assert not (tree / "data/overlaps").exists()
        async with listening(tree, "api", second, **alone):
            assert len((tree / "data/overlaps").read_text().splitlines()) == 1
