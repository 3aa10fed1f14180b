"""A backup of a 1 GB database while it is written to, beside ``sqlite3 FILE '.backup'``.

The command begins anew whenever another process has written, and with a writer that never rests it
does not end: so it is timed with nobody writing, and ours with the writer. Rounds alternate.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from bluegreen.data.databases import copy_database
from bluegreen.data.manifest import Manifest
from bluegreen.files import sync_file
from tests.bench import backup_writer
from tests.bench.figures import Figure, median

SIZE = 1_000_000_000  # bytes
ROW = 1000  # bytes
ROUNDS = 5
PATIENCE = 20.0  # seconds that the command is given while somebody writes
LIMIT = 300.0  # seconds


def fill(path: Path) -> None:
    """A database in WAL mode with an index, of about `SIZE` bytes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT, text BLOB)")
        connection.execute("CREATE INDEX orders_by_name ON orders (name)")
        connection.execute("BEGIN")
        rows = ((f"{number * 7919 % 1_000_003}", os.urandom(ROW)) for number in range(SIZE // ROW))
        connection.executemany("INSERT INTO orders (name, text) VALUES (?, ?)", rows)
        connection.execute("COMMIT")


@contextlib.contextmanager
def written_to(path: Path) -> Iterator[list[float]]:
    """20 writes a second meanwhile; the list gets the seconds of the slowest, at the end."""
    slowest: list[float] = []
    writer = subprocess.Popen(
        [sys.executable, backup_writer.__file__, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        yield slowest
        slowest.append(float(writer.communicate("end\n", timeout=LIMIT)[0]))
    finally:
        writer.kill()
        writer.wait()


def command(source: Path, target: Path, *, limit: float) -> float:
    """Seconds that the command took; TimeoutExpired when it did not end."""
    began = time.perf_counter()
    subprocess.run(
        ["sqlite3", str(source), f".backup {target}"], check=True, timeout=limit,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - began


def ours(source: Path, target: Path) -> float:
    """Seconds until our copy is on the disk."""
    began = time.perf_counter()
    copy_database(source, target, lambda done, total: None)
    sync_file(target)
    return time.perf_counter() - began


def work(what: str, task: dict[str, Any], report: Path) -> tuple[float, float, Any]:
    """Seconds and peak MB of a piece of work as the daemon has it done, and its result."""
    began = time.perf_counter()
    file = report.with_name("task.json")
    file.write_text(json.dumps({"do": what, **task}))
    report.write_bytes(b"")  # as it is made anew for each
    process = subprocess.Popen(
        [sys.executable, "-I", "-m", "bluegreen.data.worker", str(file), str(report)],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, report.read_text()
    took = time.perf_counter() - began
    return took, usage.ru_maxrss * 1024 / 1e6, json.loads(report.read_text())["result"]


def whole(shared: Path, backups: Path) -> tuple[float, float]:
    """Seconds and peak MB of a whole backup: copied, checked, on disk, read back."""
    backups.mkdir()
    report = backups.with_name("report.json")
    places = {"app": "shop", "shared": str(shared), "backups": str(backups), "number": 1}
    work("begin", places, report)
    gathering = {"sqlite": ["app.db"], "files": [], "directories": [], "leniently": False}
    copied, most, found = work("gather", places | gathering, report)
    manifest = Manifest(id=1, app="shop", created_at=0.0, reason="asked for", version=None)
    sealing = {"manifest": manifest.to_json() | found}
    sealed, more, _ = work("seal", places | sealing, report)
    return copied + sealed, max(most, more)


def compare(directory: Path) -> list[Figure]:
    """Blocking, for some minutes."""
    source, target = directory / "shared/app.db", directory / "copy.db"
    source.parent.mkdir()
    fill(source)
    alone: list[float] = []
    beside: list[float] = []
    waits: list[float] = []
    for _ in range(ROUNDS):
        alone.append(command(source, target, limit=LIMIT))
        target.unlink()
        with written_to(source) as slowest:
            beside.append(ours(source, target))
        waits += slowest
        target.unlink()
    with written_to(source) as slowest:
        took, memory = whole(source.parent, directory / "backups")
    waits += slowest
    with written_to(source), contextlib.suppress(subprocess.TimeoutExpired):
        command(source, target, limit=PATIENCE)
    done = 100 * target.stat().st_size / source.stat().st_size
    return [
        Figure(name="sqlite3 .backup, nobody writes, median", value=median(alone), unit="s"),
        Figure(name=f"the same with a writer, after {PATIENCE:g} s", value=done, unit="%"),
        Figure(name="our copy with a writer, median", value=median(beside), unit="s"),
        Figure(
            name=".backup alone ÷ our copy with a writer, medians",
            value=median(alone) / median(beside),
            unit="times",
            goal=0.8,
            at_least=True,
        ),
        Figure(name="the whole backup with a writer, verified", value=took, unit="s"),
        Figure(name="its peak memory", value=memory, unit="MB", goal=100),
        Figure(name="slowest write meanwhile", value=max(waits) * 1e3, unit="ms"),
    ]


async def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bg-backup-") as directory:
        return await asyncio.to_thread(compare, Path(directory))
