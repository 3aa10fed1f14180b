"""A supervisor in a root of its own, that leaves no process behind."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluegreen.layout import Layout
from bluegreen.model import Job, ServiceUnit, Slot, UnitKey
from bluegreen.supervisors.embedded import EmbeddedSupervisor
from tests.waiting import eventually

ENV = {"PATH": os.environ["PATH"]}


class Workshop:
    """What tests make supervisors, units and jobs with."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = Layout(root)
        self.supervisors: list[EmbeddedSupervisor] = []

    async def supervisor(self, *units: ServiceUnit) -> EmbeddedSupervisor:
        """A supervisor that was opened with ``units``."""
        supervisor = EmbeddedSupervisor(self.layout)
        self.supervisors.append(supervisor)
        await supervisor.open(units)
        return supervisor

    def unit(self, script: str, *, service: str = "api", stop_timeout: float = 10) -> ServiceUnit:
        """A service that is a shell script."""
        return ServiceUnit(
            key=UnitKey(app="shop", slot=Slot.BLUE, service=service),
            argv=("sh", "-c", script),
            cwd=self.root,
            env=ENV,
            stop_timeout=stop_timeout,
            log_file=self.root / "logs" / f"{service}.log",
        )

    def python(self, code: str, *, service: str = "api", stop_timeout: float = 10) -> ServiceUnit:
        """A service that is a Python program."""
        unit = self.unit("", service=service, stop_timeout=stop_timeout)
        return dataclasses.replace(unit, argv=(sys.executable, "-c", code))

    def job(self, script: str, *, name: str = "job", timeout: float = 60) -> Job:
        """A job that is a shell script."""
        return Job(
            app="shop",
            name=name,
            argv=("sh", "-c", script),
            cwd=self.root,
            env=ENV,
            timeout=timeout,
            log_file=self.root / "logs" / f"{name}.log",
        )

    def records(self) -> list[str]:
        """The names of the process records there are."""
        directory = self.layout.process_records
        return sorted(os.listdir(directory)) if directory.is_dir() else []

    async def line(self, log: Path, start: str) -> str:
        """What follows ``start`` in the first line of a log that begins so, once it is there."""
        found: list[str] = []

        def look() -> bool:
            lines = log.read_text().split("\n")[:-1] if log.exists() else []
            found[:] = [line.removeprefix(start) for line in lines if line.startswith(start)]
            return bool(found)

        await eventually(look, f"{log} has a line that begins with {start!r}")
        return found[0]


@pytest.fixture
async def workshop(root: Path) -> AsyncIterator[Workshop]:
    workshop = Workshop(root)
    yield workshop
    for supervisor in workshop.supervisors:
        await supervisor.close(stop_units=True)
    await workshop.supervisor()  # ends what is recorded
    await workshop.supervisors[-1].close(stop_units=True)
    assert workshop.records() == []
