"""Twenty migrations under a hold, while visitors post: whether any fails, and how long they wait.

The wait is held against what it is for: the backup, the migrations, and the start of the new
version until it answers.
"""

from __future__ import annotations

import sys
from typing import Any

from bluegreen.demo.load import Load
from bluegreen.demo.load_settings import LoadSettings
from tests.bench.figures import Figure, median
from tests.operations.data import OPTIONS
from tests.operations.migrations import last, phase, section
from tests.stack import Stack, stack

DEPLOYS = 20
MIGRATIONS = ("0001_audit_logs", "0002_notes")
LOAD: dict[str, Any] = {
    "connections": 32, "websockets": 0, "downloads": 0, "think": 0.02, "timeout": 60.0,
}  # fmt: skip


async def deploy(built: Stack) -> Any:
    """One deploy with pending migrations; the operation."""
    await built.deploy("v4-notes")
    operation = await last(built)
    assert phase(operation, "migrate")["data"]["applied"] == list(MIGRATIONS), operation
    return operation


async def forget(built: Stack) -> None:
    """Undo the migrations, so that they are pending for the next deploy."""
    for _ in MIGRATIONS:
        answer = await built.cli("migrations", "rollback", "monitor")
        assert answer.status == 0, answer.err


def seconds(operation: Any, first: str, last_one: str) -> float:
    """From the begin of one phase to the end of another."""
    end = phase(operation, last_one)
    return float(end["began"] + end["seconds"] - phase(operation, first)["began"])


async def measure() -> list[Figure]:
    waits, own, over = [], [], []
    text = section().replace('mode = "online"', 'mode = "hold"')
    async with stack() as built:
        built.write_app(extra=text, **OPTIONS)
        await built.serve()
        await built.deploy("v2")
        async with Load(LoadSettings(url=built.url(), **LOAD)) as visitors:
            await visitors.ready()
            for number in range(DEPLOYS):
                if number:
                    await forget(built)
                operation = await deploy(built)
                wait = float(phase(operation, "release")["data"]["seconds"])
                migration = float(phase(operation, "migrate")["data"]["seconds"])
                needed = (
                    seconds(operation, "backup", "backup")
                    + migration
                    + seconds(operation, "start", "gate")
                )
                waits.append(wait)
                own.append(migration)
                over.append(wait - needed)
                print(
                    f"{number + 1}: held {wait:.2f} s, migrations {migration:.2f} s, "
                    + ", ".join(
                        f"{name} {seconds(operation, name, name):.2f}"
                        for name in ("hold", "drain", "backup", "migrate", "start", "gate")
                    ),
                    file=sys.stderr,
                )
            report = visitors.report()
    return [
        Figure(name=f"failed of {report.requests:,}", value=report.failed, unit="requests", goal=0),
        Figure(name="requests waited, median of the deploys", value=median(waits), unit="s"),
        Figure(name="requests waited, longest", value=max(waits), unit="s"),
        Figure(name="the migrations themselves, median", value=median(own), unit="s"),
        Figure(
            name="beyond migrations, backup and start, median", value=median(over), unit="s",
            goal=0.5,
        ),
        Figure(
            name="beyond migrations, backup and start, longest", value=max(over), unit="s",
            goal=0.5,
        ),
    ]  # fmt: skip
