"""The sample app's good versions, as real processes."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.apps.services import (
    HEALTH,
    RunningService,
    answers,
    build,
    built_tree,
    listening,
    started,
)
from tests.ports import kernel_ports
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

FreePorts = Callable[[int], list[int]]
LOGIN = {"user": "admin", "password": "monitor"}
SLOTS = {"blue": "v1", "green": "v2"}
RUN_OUT = aiohttp.ClientTimeout(total=20.0)  # seconds


@pytest_asyncio.fixture(loop_scope="module")
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=RUN_OUT) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def monitor(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[dict[str, RunningService]]:
    """All four services of ``v1`` in slot blue. They are everybody's: nobody ends one."""
    async with _running(tmp_path_factory.mktemp("shared")) as services:
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def mortal(tmp_path: Path) -> AsyncIterator[dict[str, RunningService]]:
    """The same, to be ended."""
    async with _running(tmp_path) as services:
        yield services


@asynccontextmanager
async def _running(directory: Path) -> AsyncIterator[dict[str, RunningService]]:
    ports = dict(zip(HEALTH, kernel_ports(4), strict=True))
    tree = built_tree("v1", directory / "v1", api_port=ports["api"])
    async with AsyncExitStack() as stack:
        services = {
            service: await stack.enter_async_context(started(tree, service, port))
            for service, port in ports.items()
        }
        for running in services.values():
            await running.up()
        yield services


async def _json(response: aiohttp.ClientResponse, status: int = 200) -> dict[str, Any]:
    assert response.status == status, await response.text()
    body = await response.json()
    assert isinstance(body, dict)
    return body


async def _log_in(client: aiohttp.ClientSession, api: RunningService) -> dict[str, str]:
    async with client.post(api.url("/api/login"), json=LOGIN) as response:
        token = (await _json(response))["token"]
    return {"Authorization": f"Bearer {token}"}


async def test_every_service_says_that_it_is_healthy_with_its_version_and_slot(
    monitor: dict[str, RunningService], client: aiohttp.ClientSession
) -> None:
    for service, running in monitor.items():
        async with client.get(running.url(HEALTH[service])) as response:
            health = await _json(response)
            said = [health[field] for field in ("status", "service", "version", "slot")]
            assert said == ["healthy", service, "v1", "blue"]
            assert response.headers["X-Monitor-Slot"] == "blue"
            assert response.headers["X-Monitor-Version"] == "v1"


async def test_the_pages_name_the_release_and_load_the_bundle_built_for_their_slot(
    monitor: dict[str, RunningService], client: aiohttp.ClientSession
) -> None:
    web = monitor["web"]
    for path in ("/", "/login"):
        async with client.get(web.url(path)) as response:
            page = await response.text()
            assert "Version v1, slot blue" in page
    bundle = re.search(r'src="(/static/app-[0-9a-f]{10}\.js)"', page)
    assert bundle is not None
    async with client.get(web.url(bundle[1])) as response:
        assert "immutable" in response.headers["Cache-Control"]
        assert f"const apiPort = {monitor['api'].port};" in await response.text()
    async with client.get(web.url("/static/app-0000000000.js")) as response:
        assert response.status == 404
    async with client.get(web.url("/status")) as response:
        assert (await _json(response))["api"]["slot"] == "blue"


async def test_a_login_gives_a_token_with_which_servers_are_added_and_listed(
    monitor: dict[str, RunningService], client: aiohttp.ClientSession
) -> None:
    api = monitor["api"]
    headers = await _log_in(client, api)
    new = {"name": "db-1", "address": "10.0.0.7"}
    async with client.post(api.url("/api/servers"), json=new, headers=headers) as response:
        number = (await _json(response, 201))["id"]
    async with client.get(api.url("/api/servers"), headers=headers) as response:
        answer = await _json(response)
    assert answer["servers"] == [{"id": number, "added_by_slot": "blue"} | new]
    assert (answer["slot"], answer["version"]) == ("blue", "v1")


async def test_the_api_refuses_what_it_should(
    monitor: dict[str, RunningService], client: aiohttp.ClientSession
) -> None:
    api = monitor["api"]
    wrong = {"user": "admin", "password": "wrong"}
    async with client.post(api.url("/api/login"), json=wrong) as response:
        assert (await _json(response, 401))["error"] == "wrong user or password"
    for body in ("not JSON", "[]", '{"user": 1, "password": ""}', '{"user": "admin"}'):
        async with client.post(api.url("/api/login"), data=body) as response:
            await _json(response, 400)
    for headers in ({}, {"Authorization": "Bearer made-up"}):
        async with client.get(api.url("/api/servers"), headers=headers) as response:
            await _json(response, 401)
    async with client.post(api.url("/api/echo"), data="{") as response:
        await _json(response, 400)


async def test_an_echo_says_slot_and_version_and_what_was_sent(
    monitor: dict[str, RunningService], client: aiohttp.ClientSession
) -> None:
    async with client.post(monitor["api"].url("/api/echo"), json={"n": 7}) as response:
        assert await _json(response) == {"slot": "blue", "version": "v1", "n": 7}


async def test_the_stream_sends_metrics_and_answers_a_ping(
    monitor: dict[str, RunningService], client: aiohttp.ClientSession
) -> None:
    async with client.ws_connect(monitor["stream"].url("/ws/monitoring")) as socket:
        metrics = await socket.receive_json(timeout=PATIENCE)
        assert (metrics["type"], metrics["slot"], metrics["version"]) == ("metrics", "blue", "v1")
        await socket.send_str("ping 42")
        pong = {"type": "pong", "text": "42", "slot": "blue", "version": "v1"}
        assert await socket.receive_json(timeout=PATIENCE) == pong


async def test_the_terminal_runs_df_and_echoes_text_and_bytes(
    monitor: dict[str, RunningService], client: aiohttp.ClientSession
) -> None:
    async with client.ws_connect(monitor["terminal"].url("/ws/terminal")) as socket:
        await socket.send_str("df -h")
        assert (await socket.receive_str(timeout=PATIENCE)).startswith("Filesystem ")
        await socket.send_str("ls -l")
        assert await socket.receive_str(timeout=PATIENCE) == "ls -l"
        await socket.send_bytes(b"\x03")
        assert await socket.receive_bytes(timeout=PATIENCE) == b"\x03"


async def test_a_websocket_is_for_pages_of_the_same_site_only(
    monitor: dict[str, RunningService], client: aiohttp.ClientSession
) -> None:
    stream = monitor["stream"]
    url = stream.url("/ws/monitoring")
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        await client.ws_connect(url, origin="http://elsewhere.example.org")
    async with client.ws_connect(url, origin=f"http://127.0.0.1:{stream.port}") as socket:
        assert (await socket.receive_json(timeout=PATIENCE))["type"] == "metrics"


async def test_a_download_has_the_size_asked_for_and_nonsense_is_refused(
    monitor: dict[str, RunningService], client: aiohttp.ClientSession
) -> None:
    web = monitor["web"]
    async with client.get(web.url("/download?size=200000")) as response:
        assert len(await response.read()) == 200_000
    for query in ("size=-1", "size=many", "rate=0", "size=99999999999"):
        async with client.get(web.url(f"/download?{query}")) as response:
            assert response.status == 400


async def test_a_download_under_way_is_finished_after_sigterm(
    mortal: dict[str, RunningService], client: aiohttp.ClientSession
) -> None:
    web = mortal["web"]
    async with client.get(web.url("/download?size=60000&rate=60000")) as response:
        await response.content.readexactly(1000)
        web.process.send_signal(signal.SIGTERM)
        await web.said("is told to end")
        rest = await response.read()
    assert len(rest) == 59_000
    assert await web.ended() == 0
    assert not await answers(web.url("/health"))


async def test_an_open_websocket_is_closed_with_1001_when_its_service_ends(
    mortal: dict[str, RunningService], client: aiohttp.ClientSession
) -> None:
    terminal = mortal["terminal"]
    async with client.ws_connect(terminal.url("/ws/terminal")) as socket:
        terminal.process.send_signal(signal.SIGTERM)
        message = await socket.receive(timeout=PATIENCE)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    assert await terminal.ended() == 0


async def test_two_slots_share_one_database_so_a_token_of_one_is_good_in_the_other(
    tmp_path: Path, free_ports: FreePorts, client: aiohttp.ClientSession
) -> None:
    (tmp_path / "shared").mkdir()
    trees = {slot: built_tree(version, tmp_path / slot) for slot, version in SLOTS.items()}
    for tree in trees.values():
        (tree / "data").symlink_to(tmp_path / "shared")
    blue_port, green_port = free_ports(2)
    async with (
        listening(trees["blue"], "api", blue_port) as blue,
        listening(trees["green"], "api", green_port, slot="green") as green,
    ):
        headers = await _log_in(client, blue)

        async def add(api: RunningService, number: int) -> None:
            new = {"name": f"server {number}", "address": "10.0.0.1"}
            async with client.post(api.url("/api/servers"), json=new, headers=headers) as response:
                await _json(response, 201)

        await asyncio.gather(*(add((blue, green)[number % 2], number) for number in range(20)))
        async with client.get(green.url("/api/servers"), headers=headers) as response:
            servers = (await _json(response))["servers"]
    assert len(servers) == 20
    assert {server["added_by_slot"] for server in servers} == {"blue", "green"}


async def test_the_better_version_shows_on_the_page_and_in_the_api(
    tmp_path: Path, free_ports: FreePorts, client: aiohttp.ClientSession
) -> None:
    tree = built_tree("v2", tmp_path)
    web_port, api_port = free_ports(2)
    async with listening(tree, "web", web_port) as web, listening(tree, "api", api_port) as api:
        async with client.get(web.url("/")) as response:
            page = await response.text()
            assert "Version v2" in page
            assert "<li>Who added a server</li>" in page
        async with client.get(api.url("/api/health")) as response:
            health = await _json(response)
            assert health["version"] == "v2"
            assert "Who added a server" in health["features"]


async def test_a_taken_port_ends_a_good_service_with_a_plain_message(
    monitor: dict[str, RunningService],
) -> None:
    api = monitor["api"]
    async with started(api.log_file.parent, "api", api.port, slot="green") as second:
        assert await second.ended() == 1
        assert second.log() == f"api cannot listen on 127.0.0.1:{api.port}: it is in use\n"


async def test_a_tree_that_was_not_built_says_what_to_run(
    tmp_path: Path, free_ports: FreePorts
) -> None:
    (web_port,) = free_ports(1)
    tree = built_tree("v1", tmp_path)
    (tree / "dist/manifest.json").unlink()
    async with started(tree, "web", web_port, slot="green") as web:
        assert await web.ended() == 1
        assert "run 'python -m monitor.assets' first" in web.log()


async def test_the_build_bakes_the_port_in_and_uses_the_cache_of_earlier_releases(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    trees = {9183: tmp_path / "one", 9283: tmp_path / "two"}
    outputs = []
    for port, tree in trees.items():
        built_tree("v1", tree)
        done = build(tree, api_port=port, cache=cache)
        assert done.returncode == 0
        outputs.append(done.stdout)
    assert "minified app.js" in outputs[0]
    assert "taken from the cache" in outputs[1]
    assert "build 2 with the cache" in outputs[1]
    bundles = [[file.name for file in (tree / "dist").glob("app-*.js")] for tree in trees.values()]
    assert [len(names) for names in bundles] == [1, 1]
    assert bundles[0] != bundles[1]


async def test_a_broken_cache_is_started_anew(tmp_path: Path) -> None:
    tree = built_tree("v1", tmp_path)
    (tree / ".cache/monitor-assets.json").write_text("{")
    assert "build 1 with the cache" in build(tree, api_port=9083, cache=tree / ".cache").stdout


async def test_the_api_runs_from_a_tree_that_nobody_has_prepared(
    tmp_path: Path, free_ports: FreePorts
) -> None:
    (port,) = free_ports(1)
    async with listening(built_tree("v1", tmp_path), "api", port) as api:
        await eventually(lambda: answers(api.url("/api/health")), "the API answers")
    assert (tmp_path / "data/servers.db").is_file()
