"""Every broken version is refused, with its cause, while the old one serves on."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.operations.test_releases import visitors
from tests.ports import kernel_ports
from tests.stack import Stack
from tests.visits import served_version, visit
from tests.waiting import eventually


@contextlib.asynccontextmanager
async def stranger(port: int, *options: str) -> AsyncIterator[None]:
    """A process of nobody's that answers healthily on a port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.apps.stranger", str(port), *options,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert b"listens" in await asyncio.wait_for(process.stdout.readline(), 20)
        yield
    finally:
        process.terminate()
        await process.wait()


async def in_phase(stack: Stack, phase: str) -> bool:
    operation = (await stack.status())["operation"]
    return operation is not None and operation["phase"] == phase


async def redirect(stack: Stack, path: str) -> tuple[int, str]:
    """Status and Location of a request that is not followed."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(stack.url() + path, allow_redirects=False) as response,
    ):
        return response.status, response.headers.get("Location", "")


@pytest.mark.parametrize(
    ("version", "phase", "said"),
    [
        ("v3-build-fails", "build", "assets"),
        ("v3-unhealthy", "gate", "503"),
        ("v3-error-page", "gate", "not JSON"),
        ("v3-ws-closes", "gate", "1011"),
    ],
)
async def test_a_broken_version_is_refused(
    empty: Stack, version: str, phase: str, said: str
) -> None:
    if version != "v3-ws-closes":
        empty.services = ("web", "api", "terminal")  # what visitors ask
    empty.write_app()
    await empty.serve()
    await empty.deploy("v1")
    empty.write_app(deadline="7s")  # in which it has begun to answer, as wrongly as it does
    await empty.reload()
    async with visitors(empty):
        answer = await empty.cli("deploy", "monitor", version)
    assert answer.status == 1, answer.out + answer.err
    assert said in answer.err
    assert "Next:" in answer.err
    assert await served_version(empty) == "v1"
    newest, *_ = await empty.operations()
    assert newest["state"] == "failed"
    failed = [line for line in answer.out.splitlines() if " failed (" in line]
    assert f" {phase} failed" in failed[0]


async def test_files_of_the_environment_that_are_missing_are_told_before_anything_is_built(
    empty: Stack,
) -> None:
    path = empty.write_app(services=("api",))
    text = path.read_text().replace("[env]\n", '[env]\nS = { file = "/nowhere/s" }\n', 1)
    own = '[services.api]\nenv_file = "/nowhere/api.env"\n'
    path.write_text(text.replace("[services.api]\n", own, 1))
    await empty.serve()
    answer = await empty.cli("deploy", "monitor", "v1")
    assert answer.status == 1
    assert "env.S: the secret file /nowhere/s cannot be read" in answer.err
    assert "services.api.env_file: the env file /nowhere/api.env cannot be read" in answer.err
    assert "preflight failed" in answer.out
    assert "fetch" not in answer.out


async def test_a_release_that_crashes_in_the_watch_is_switched_back(empty: Stack) -> None:
    empty.write_app(services=("api",), watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    old = empty.marker()
    # Long after its gate.
    empty.write_app(services=("api",), watch="60s", env={"MONITOR_CRASH_AFTER": "6"})
    await empty.reload()
    answer = await empty.cli("deploy", "monitor", "v3-crashes")
    assert answer.status == 5, answer.out + answer.err
    assert "api" in answer.err
    assert empty.marker() == old
    assert await served_version(empty) == "v1"
    newest, *_ = await empty.operations()
    assert newest["state"] == "rolled_back"


async def test_a_service_that_ignores_sigterm_is_killed_after_its_stop_timeout(
    empty: Stack,
) -> None:
    empty.write_app(stop_timeout="1s")
    await empty.serve()
    await empty.deploy("v3-ignores-sigterm")
    await empty.deploy("v1")
    async with visitors(empty):
        await empty.deploy("v2")  # takes the slot of the one that does not want to go
    assert await served_version(empty) == "v2"


async def test_a_port_held_by_a_stranger_is_found_before_anything_starts(deployed: Stack) -> None:
    idle_api = deployed.ports["monitor"][2 + (deployed.marker() == "blue")]
    async with stranger(idle_api):
        answer = await deployed.cli("deploy", "monitor", "v2")
    assert answer.status == 1
    assert str(idle_api) in answer.err
    assert "stranger" in answer.err
    assert await served_version(deployed) == "v1"


async def test_a_stranger_who_answers_in_place_of_the_service_fails_the_gate(empty: Stack) -> None:
    go = empty.root / "go"
    build = f'[[build]]\nname = "slow"\nrun = "until [ -e {go} ]; do sleep 0.02; done"\n'
    empty.write_app(services=("web", "api"))
    await empty.serve()
    await empty.deploy("v1")
    empty.write_app(services=("web", "api"), deadline="6s", extra=build)
    await empty.reload()
    idle_api = empty.ports["monitor"][2 + (empty.marker() == "blue")]
    deploying = asyncio.create_task(empty.cli("deploy", "monitor", "v3-port-held"))
    await eventually(lambda: in_phase(empty, "build"), "the build has begun")
    async with stranger(idle_api, "--version", "v3-port-held"):
        go.touch()
        answer = await deploying
    assert answer.status == 1
    assert str(idle_api) in answer.err
    assert await served_version(empty) == "v1"


async def test_a_redirect_to_the_slots_own_port_does_not_leak(deployed: Stack) -> None:
    await deployed.deploy("v3-own-port")
    status, location = await redirect(deployed, "/login?next=/")
    assert status in (301, 302, 303, 307, 308)
    ports = {str(port) for port in deployed.ports["monitor"]}
    assert not any(port in location for port in ports), location


async def test_a_service_that_listens_elsewhere_is_told_so(empty: Stack) -> None:
    (hard,) = kernel_ports(1)
    empty.write_app(services=("api",), deadline="5s", env={"MONITOR_HARD_PORT": str(hard)})
    await empty.serve()
    answer = await empty.cli("deploy", "monitor", "v3-hard-coded-port")
    assert answer.status == 1
    assert f"{hard}" in answer.err
    assert "{port}" in answer.err
    assert (await visit(empty))[0] == 503
