"""A service of several instances: each is gated, asked by nginx, kept running and found again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from bluegreen.processes import identify
from tests.ports import kernel_port_range, kernel_ports
from tests.stack import PYTHON, Stack
from tests.waiting import PATIENCE, end_tasks, eventually

SERVER = """
import http.server, json, sys
port, instance, version = int(sys.argv[1]), sys.argv[2], sys.argv[3]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({"instance": instance, "version": version}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *arguments): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
print(f"instance {instance} of {version} on {port}", flush=True)
Server(("127.0.0.1", port), Handler).serve_forever()
"""
MOST = 4  # instances that there are ports for, in each slot
CLIENTS = 6


@dataclass
class Many:
    """The app ``many``: ``api`` has several instances, and a worker has two."""

    stack: Stack
    blue: int
    green: int

    def write(self, instances: int) -> None:
        self.stack.layout.app_files.mkdir(parents=True, exist_ok=True)
        (self.stack.layout.app_files / "many.toml").write_text(f"""
[app]
name = "many"
[source]
directory = "{self.stack.root}/releases/{{version}}"
[services.api]
command = "{PYTHON} {{slot_dir}}/server.py {{port}} {{instance}} {{version}}"
ports = {{ blue = {self.blue}, green = {self.green} }}
instances = {instances}
stop_timeout = "5s"
[services.worker]
command = "sleep 1000"
instances = 2
exclusive = true
[[routes]]
path = "/"
service = "api"
[nginx]
listen = ["127.0.0.1:{self.stack.listen["many"]}"]
[gate]
healthy_for = "0.2s"
[[gate.probes]]
service = "api"
http = {{ path = "/", json = {{ version = "{{version}}", instance = "{{instance}}" }} }}
[watch]
for = "0.3s"
""")

    def release(self, version: str) -> None:
        tree = self.stack.root / "releases" / version
        tree.mkdir(parents=True)
        (tree / "server.py").write_text(SERVER)

    async def reload(self, instances: int) -> None:
        self.write(instances)
        await self.stack.reload()

    async def instances(self, slot: str, service: str = "api") -> list[dict[str, Any]]:
        status = await self.stack.status("many")
        found: list[dict[str, Any]] = status["slots"][slot]["services"][service]["instances"]
        return found

    async def pids(self) -> dict[tuple[str, str], list[int]]:
        """Of what runs, by slot and service."""
        slots = (await self.stack.status("many"))["slots"]
        return {
            (slot, name): pids
            for slot, held in slots.items()
            for name, service in held["services"].items()
            if (pids := [one["pid"] for one in service["instances"] if one["pid"]])
        }

    async def answering(self) -> dict[str, set[str]]:
        """Which instances of which versions answer through nginx."""
        found: dict[str, set[str]] = {}
        async with aiohttp.ClientSession() as session:
            for _ in range(40):
                async with session.get(self.stack.url("many")) as response:
                    one = await response.json()
                    found.setdefault(one["version"], set()).add(one["instance"])
        return found


@pytest.fixture
async def many(empty: Stack) -> Many:
    first = kernel_port_range(2 * MOST)
    (empty.listen["many"],) = kernel_ports(1)
    app = Many(empty, blue=first, green=first + MOST)
    app.write(3)
    for version in ("v1", "v2", "v3"):
        app.release(version)
    await empty.serve()
    await empty.deploy("v1", "many")
    return app


@dataclass
class Load:
    """POSTs, each on a connection of its own: what a reload of nginx does to kept ones, it does."""

    url: str
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: list[tuple[float, str]] = field(default_factory=list)  # when they were begun, and how

    async def _client(self) -> None:
        connector = aiohttp.TCPConnector(force_close=True)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while True:
                began = time.monotonic()
                try:
                    async with session.post(self.url, data=b"x" * 100) as response:
                        if response.status == 200:
                            one = await response.json()
                            self.answered[one["version"], one["instance"]] += 1
                        else:
                            self.failed.append((began, str(response.status)))
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.failed.append((began, repr(error)))
                await asyncio.sleep(0.005)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._client(), name=f"client {n}") for n in range(CLIENTS)]
        try:
            yield
        finally:
            await end_tasks(tasks)

    async def more(self, number: int) -> None:
        """So many answers more."""
        before = self.answered.total()
        await eventually(lambda: self.answered.total() >= before + number, "requests are answered")


async def test_one_that_dies_costs_no_request_that_begins_after_its_death(many: Many) -> None:
    stack, slot = many.stack, many.stack.marker("many")
    assert await many.answering() == {"v1": {"1", "2", "3"}}
    before = await many.instances(slot)
    first = many.blue if slot == "blue" else many.green
    assert [one["address"] for one in before] == [f"127.0.0.1:{first + n}" for n in range(3)]
    assert len((await many.pids())[slot, "worker"]) == 2

    load = Load(stack.url("many"))
    async with load.running():
        await load.more(50)
        victim = identify(before[1]["pid"])
        assert victim is not None
        os.kill(victim.pid, signal.SIGKILL)
        await eventually(lambda: identify(victim.pid) != victim, "it is dead")
        dead = time.monotonic()
        await load.more(200)

        async def is_back() -> bool:
            second = (await many.instances(slot))[1]
            return bool(second["state"] == "running" and second["restarts"] == 1)

        await eventually(is_back, "it was started again")
        seen = load.answered["v1", "2"]
        await eventually(lambda: load.answered["v1", "2"] > seen, "it is asked again")
    # What was under way on it is lost, as it may have acted on it; nothing that came later.
    assert [one for one in load.failed if one[0] >= dead] == []
    assert len(load.failed) <= CLIENTS

    status = await stack.cli("status", "many")
    assert "api 3 of 3 running, api 2 running (restarted once, killed by SIGKILL)" in status.out
    logs = (await stack.cli("logs", "many", "--service", "api")).out.splitlines()
    said = {line for line in logs if "instance" in line and "v1" in line}
    assert {f"{slot} api {n} | instance {n} of v1 on {first + n - 1}" for n in (1, 2, 3)} <= said


async def test_another_number_of_them_takes_over_without_a_failed_request(many: Many) -> None:
    """Also while nginx asks for more than were started, and for fewer."""
    stack, slot = many.stack, many.stack.marker("many")
    other = "green" if slot == "blue" else "blue"
    ran = (await many.pids())[slot, "api"]
    load = Load(stack.url("many"))
    async with load.running():
        await many.reload(4)
        assert await many.answering() == {"v1": {"1", "2", "3"}}
        assert (await many.pids())[slot, "api"] == ran
        await load.more(100)
        await stack.deploy("v2", "many")
        assert await many.answering() == {"v2": {"1", "2", "3", "4"}}
        await load.more(50)

        await many.reload(2)
        assert await many.answering() == {"v2": {"1", "2"}}
        pids = await many.pids()
        assert len(pids[other, "api"]) == 4

        # Killed and started again, the daemon finds all that run, whatever the file says.
        await stack.kill()
        await stack.serve()
        assert await many.pids() == pids
        await load.more(50)
        leftover = [identify(pid) for pid in ran]
        await stack.deploy("v3", "many")
        assert await many.answering() == {"v3": {"1", "2"}}
        await load.more(50)
    assert load.failed == []
    assert all(one is not None and identify(one.pid) != one for one in leftover)
    pids = await many.pids()
    assert len(pids[slot, "api"]) == 2
    assert len(pids[slot, "worker"]) == 2
    assert (other, "worker") not in pids

    # The third of what is hot beside it has a finding of its own, and ends with its slot.
    third = (await many.instances(other))[2]
    assert third["state"] == "running"
    assert (await stack.cli("stop", "many")).status == 0
    assert await many.pids() == {}
    assert stack.live_processes() == []
    assert (await stack.cli("start", "many")).status == 0
    assert len((await many.pids())[slot, "api"]) == 2
