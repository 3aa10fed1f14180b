"""What bluegreen itself takes of a deploy.

The whole deploy of the sample app, from the request to the recorded outcome, minus what is the
app's own and would take as long by hand: its build command and its start until all four services
answer, both measured by hand in the same run, and ``healthy_for``. There is no watch. Each version
is a new commit, so that it is fetched, laid out and built, and each but the first two replaces a
release that runs and has to end first. How long its end takes by hand is shown, not subtracted.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bluegreen.cli.client import Client
from bluegreen.demo.appfile import SERVICES
from bluegreen.operations.runtime import LAST_REQUESTS
from tests.bench.figures import Figure, median
from tests.bench.hosts import deploy
from tests.ports import kernel_ports
from tests.stack import Stack, stack

DEPLOYS = 10
WARM_UP = 2  # deploys into slots that are still empty
HEALTHY_FOR = 0.3  # seconds
HEALTH = {"web": "/health", "api": "/api/health", "stream": "/health", "terminal": "/health"}
LIMIT = 30.0  # seconds for a start by hand
POLL = 0.005  # seconds


def git(repository: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(repository), *arguments],
        check=True, capture_output=True,
        env={**os.environ, "GIT_AUTHOR_NAME": "bench", "GIT_AUTHOR_EMAIL": "bench@example.org",
             "GIT_COMMITTER_NAME": "bench", "GIT_COMMITTER_EMAIL": "bench@example.org"},
    )  # fmt: skip


def commit_versions(origin: Path, work: Path, count: int) -> None:
    """Versions n0, n1, … as commits and tags of a repository in ``work``. Blocking."""
    subprocess.run(["git", "clone", "-q", str(origin), str(work)], check=True, capture_output=True)
    for number in range(count):
        (work / "VERSION").write_text(f"n{number}\n")
        git(work, "commit", "-q", "-a", "-m", f"Version n{number}")
        git(work, "tag", f"n{number}")


def answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: app\r\n\r\n".encode())
            return connection.recv(64).split()[1:2] == [b"200"]
    except ConnectionError:
        return False


def build_by_hand(tree: Path) -> float:
    """Seconds of the app's build command. Blocking."""
    began = time.perf_counter()
    subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m monitor.assets"],
        cwd=tree, check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - began


def by_hand(pristine: Path, tree: Path) -> tuple[float, float]:
    """Seconds of build and start, and of the end, in a tree as new as a release's is. Blocking.

    The data that the services share is not new, as with a release.
    """
    shutil.copytree(pristine, tree, ignore=shutil.ignore_patterns(".git"))
    (tree / "data").symlink_to(pristine.with_name("by-hand-data"))
    built = build_by_hand(tree)
    started, ended = start_by_hand(tree)
    return built + started, ended


def start_by_hand(tree: Path) -> tuple[float, float]:
    """Seconds from starting all services until each has answered, and of ending them. Blocking."""
    ports = dict(zip(SERVICES, kernel_ports(len(SERVICES)), strict=True))
    running: list[subprocess.Popen[bytes]] = []
    began = time.perf_counter()
    try:
        for service, port in ports.items():
            environment = {**os.environ, f"{service.upper()}_PORT": str(port)}
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", f"monitor.{service}"], cwd=tree, env=environment,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip
        while not all(answers(port, HEALTH[service]) for service, port in ports.items()):
            assert time.perf_counter() - began < LIMIT, "the sample app does not start"
            time.sleep(POLL)
        started = time.perf_counter() - began
    finally:
        ended = time.perf_counter()
        for process in running:
            process.terminate()
        for process in running:
            process.wait(LIMIT)
    return started, time.perf_counter() - ended


def rounds(built: Stack, pristine: Path) -> Mapping[str, list[float]]:
    """Seconds of deploys, of their phases, and of build and start by hand. Blocking."""
    client = Client(built.root)
    times: dict[str, list[float]] = defaultdict(list)
    for number in range(WARM_UP + DEPLOYS):
        operation: Mapping[str, Any] = deploy(client, "monitor", f"n{number}")
        own, end = by_hand(pristine, built.root / f"by-hand-{number}")
        # Deploys by the second would wait for the last requests of the one before.
        time.sleep(LAST_REQUESTS)
        if number < WARM_UP:
            continue
        whole = operation["finished_at"] - operation["created_at"]
        times["whole"].append(whole)
        times["own"].append(own)
        times["end"].append(end)
        times["overhead"].append(whole - own - HEALTHY_FOR)
        for phase in operation["phases"]:
            times[phase["phase"]].append(phase["seconds"])
    return times


async def measure() -> list[Figure]:
    async with stack() as built:
        versions = built.root / "versions"
        await asyncio.to_thread(commit_versions, built.repository, versions, WARM_UP + DEPLOYS)
        built.write_app(source=str(versions), healthy_for=f"{HEALTHY_FOR}s", watch="0s")
        await built.serve()
        pristine = built.root / "pristine"
        await asyncio.to_thread(git, versions, "worktree", "add", "-q", str(pristine), "n0")
        pristine.with_name("by-hand-data").mkdir()
        times = await asyncio.to_thread(rounds, built, pristine)
    names = {
        "whole": "whole deploy",
        "own": "the app's own build and start, by hand",
        "end": "the old release's own end, by hand (in phase start)",
    }
    return [
        *(
            Figure(name=f"{names.get(name, f'phase {name}')}, median", value=median(t), unit="s")
            for name, t in times.items()
            if name != "overhead"
        ),
        Figure(
            name=f"overhead: whole less own less {HEALTHY_FOR} s healthy_for, median",
            value=median(times["overhead"]),
            unit="s",
            goal=0.5,
        ),
    ]
