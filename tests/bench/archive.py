"""A slot's tree from an archive of 500 MB beside ``tar -x``, and from git beside a shared clone.

Ours is the whole way from a version to its tree: resolved, verified, laid out, by a process of its
own as a daemon would. The archive is in the cache and on a server; the rounds alternate.

Trees stay until the end: for a minute or more after a removal ext4 looks for each new file at the
inodes of all that was just removed, which takes several times as long as all else, and falls on
whoever comes next.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bluegreen.config.source_section import Source
from bluegreen.layout import Layout
from bluegreen.sources.git import GitSource
from bluegreen.sources.interface import Source as AnySource
from bluegreen.sources.tarball import TarballSource
from tests.bench.figures import Figure, median
from tests.bench.servers import directory_for_servers, nginx_command, nginx_main, running
from tests.ports import kernel_ports

FILES = 50_000
SIZE = 10_000  # bytes, of each
IN_A_DIRECTORY = 100  # files
ROUNDS = 5
LIMIT = 300.0  # seconds


def fill(tree: Path) -> None:
    """`FILES` files that compress about as well as programs do."""
    chance = random.Random(1)
    words = [chance.randbytes(chance.randrange(2, 12)).hex().encode() for _ in range(5000)]
    pool = b" ".join(chance.choices(words, k=500_000))
    for number in range(FILES):
        directory = tree / f"{number // 10_000}" / f"{number // IN_A_DIRECTORY}"
        if number % IN_A_DIRECTORY == 0:
            directory.mkdir(parents=True)
        start = chance.randrange(len(pool) - SIZE)
        (directory / f"file-{number}.js").write_bytes(pool[start : start + SIZE])


def source_of(kind: str, address: str, root: Path, sha256: str) -> AnySource:
    layout = Layout(root).app("shop")
    if kind == "git":
        return GitSource("shop", Source.model_validate({"git": address}), layout)
    settings = {"tarball": f"{address}?{{version}}", "allow_private": True}
    return TarballSource("shop", Source.model_validate({**settings, "sha256": sha256}), layout)


async def ours(kind: str, address: str, root: Path, sha256: str, tree: Path) -> dict[str, float]:
    """Seconds, and by how many MB the process has grown."""
    source = source_of(kind, address, root, sha256)
    gc.collect()
    before = most_memory()
    began = time.perf_counter()
    release = await source.resolve("v1")
    resolved = time.perf_counter()
    await source.lay_out(release, tree)
    ended = time.perf_counter()
    grown = most_memory() - before
    return {"seconds": ended - began, "resolved": resolved - began, "grown": grown * 1024 / 1e6}


def most_memory() -> int:
    """KiB that were resident at most. getrusage(2) begins with what the parent had at the fork."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def by_a_process(directory: Path, *arguments: str) -> dict[str, float]:
    tree = directory / "tree"
    os.sync()
    said = subprocess.run(
        [sys.executable, "-m", "tests.bench.archive", *arguments, str(tree)],
        check=True, capture_output=True, text=True, timeout=LIMIT,
    ).stdout  # fmt: skip
    found: dict[str, float] = json.loads(said)
    _set_aside(tree)
    return found


def _set_aside(tree: Path) -> None:
    assert sum(len(files) for _, _, files in os.walk(tree)) >= FILES
    tree.rename(tree.with_name(f"done-{secrets.token_hex(8)}"))


def theirs(directory: Path, *commands: list[str]) -> float:
    """Seconds for commands that fill the directory ``tree``."""
    tree = directory / "tree"
    os.sync()
    began = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, cwd=directory, timeout=LIMIT)
    took = time.perf_counter() - began
    _set_aside(tree)
    return took


def alternate(
    name: str, reference: str, mine: Callable[[], dict[str, float]], other: Callable[[], float],
    goal: float,
) -> list[Figure]:  # fmt: skip
    found: list[dict[str, float]] = []
    beside: list[float] = []
    for _ in range(ROUNDS):
        beside.append(other())
        found.append(mine())
    seconds = [one["seconds"] for one in found]
    return [
        Figure(name=f"{reference}, median", value=median(beside), unit="s"),
        Figure(name=f"{name}, median", value=median(seconds), unit="s"),
        Figure(
            name=f"{name} ÷ {reference}, medians",
            value=median(seconds) / median(beside),
            unit="times",
            goal=goal,
        ),
        Figure(
            name=f"{name}: growth of memory",
            value=max(one["grown"] for one in found),
            unit="MB",
            goal=32,
        ),
    ]


def compare(directory: Path, url: str) -> list[Figure]:
    """Blocking, for some minutes, and 20 GB. ``url``: of the files in ``directory``."""
    made = directory / "made/shop"
    fill(made)
    figures = []
    for name, mode, options in (("tar", "-cf", "-xf"), ("tar.gz", "-czf", "-xzf")):
        archive = directory / f"shop.{name}"
        pack = ["tar", mode, str(archive), "-C", str(made.parent), "shop"]
        subprocess.run(pack, check=True)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        root = str(directory / name)
        command = ["tar", options, str(archive), "-C", "tree", "--strip-components=1"]

        mine = partial(by_a_process, directory, "tarball", f"{url}/{archive.name}", root, digest)
        mine()  # fetches it
        figures += alternate(
            f"slot from {archive.name}", f"tar {options}", mine,
            partial(theirs, directory, ["mkdir", "tree"], command), 1.3,
        )  # fmt: skip
    return figures + of_git(directory, made)


def of_git(directory: Path, made: Path) -> list[Figure]:
    git = ["git", "-c", "user.name=B", "-c", "user.email=b@example.org", "-c", "gc.auto=0"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"], ["tag", "v1"],
                      ["repack", "-adq"]):  # fmt: skip
        subprocess.run([*git, *arguments], cwd=made, check=True)
    root = str(directory / "git")

    mine = partial(by_a_process, directory, "git", str(made), root, "")
    mine()
    mirror = Layout(Path(root)).app("shop").cache / "git"
    clone = ["git", "clone", "-q", "--shared", "--no-checkout", str(mirror), "tree"]
    return alternate(
        "slot from git", "git clone --shared, checkout", mine,
        partial(theirs, directory, clone, ["git", "-C", "tree", "checkout", "-q", "v1"]), 1.2,
    )  # fmt: skip


async def measure() -> list[Figure]:
    with directory_for_servers() as directory:
        (port,) = kernel_ports(1)
        config = f"server {{ listen 127.0.0.1:{port}; root {directory}; }}"
        (directory / "nginx.conf").write_text(nginx_main(config, workers="1"))
        async with running(nginx_command(directory), port, directory / "nginx.log"):
            return await asyncio.to_thread(compare, directory, f"http://127.0.0.1:{port}")


def main(kind: str, address: str, root: str, sha256: str, tree: str) -> Any:
    return asyncio.run(ours(kind, address, Path(root), sha256, Path(tree)))


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
